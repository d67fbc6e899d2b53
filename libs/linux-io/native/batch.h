/*
 * Batches: packets in a slab, one record of META_WORDS 32-bit words each (src/types.ts names them). Offsets and lengths in
 * records come from JavaScript on sending and are checked against the slab before anything is read.
 */
#ifndef SALLYPORT_BATCH_H
#define SALLYPORT_BATCH_H

#include "args.h"

#define META_WORDS 16
#define MAX_BATCH 256

enum meta_word {
	META_OFFSET = 0,
	META_LENGTH = 1,
	META_FLAGS = 2,
	META_FAMILY = 3,
	META_PORT = 4,
	META_ADDRESS = 5,
	META_LOCAL = 9,
	META_INTERFACE = 13,
	META_TOS = 14,
	META_USER = 15,
};

enum { META_FLAG_TRUNCATED = 1 };

enum batch_kind { BATCH_DATAGRAMS = 0, BATCH_PACKETS = 1, BATCH_MESSAGES = 2 };

struct batch {
	uint8_t *slab;
	uint32_t *meta;
	size_t slots;
	size_t slot_octets;
	size_t headroom;
};

/* Packets read (0 when there are none), or the negated errno. */
int batch_read_datagrams(int descriptor, const struct batch *batch);
/* Reads one packet or message a call; `end` tells whether the descriptor is at its end. */
int batch_read_packets(int descriptor, const struct batch *batch);
int batch_read_messages(int descriptor, const struct batch *batch);

/* sendDatagrams(descriptor, slab, meta, first, count): how many were taken */
napi_value send_datagrams(napi_env env, napi_callback_info info);
/* writePackets(descriptor, slab, meta, first, count): how many were taken */
napi_value write_packets(napi_env env, napi_callback_info info);
/* readIcmpError(descriptor, meta): 1 when `meta` was filled, 0 when the queue is empty (see udp_errors.c) */
napi_value read_icmp_error(napi_env env, napi_callback_info info);

#endif
