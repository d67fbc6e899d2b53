/* Reading and writing of descriptors that carry one packet a call: TUN devices, and netlink sockets for reading. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "batch.h"

static ssize_t read_one(int descriptor, enum batch_kind kind, uint8_t *room, size_t octets)
{
	ssize_t got;

	do {
		got = kind == BATCH_PACKETS ? read(descriptor, room, octets)
					    : recv(descriptor, room, octets, MSG_DONTWAIT | MSG_TRUNC);
	} while (got < 0 && errno == EINTR);
	return got;
}

static int read_all(int descriptor, enum batch_kind kind, const struct batch *batch)
{
	size_t slot = 0;

	while (slot < batch->slots) {
		size_t offset = slot * batch->slot_octets + batch->headroom;
		size_t room = batch->slot_octets - batch->headroom;
		ssize_t got = read_one(descriptor, kind, batch->slab + offset, room);
		uint32_t *record = batch->meta + slot * META_WORDS;

		if (got < 0 && errno != EAGAIN && slot == 0)
			return -errno;
		if (got <= 0)
			break;
		memset(record, 0, META_WORDS * sizeof *record);
		record[META_OFFSET] = (uint32_t)offset;
		record[META_LENGTH] = (uint32_t)((size_t)got > room ? room : (size_t)got);
		record[META_FLAGS] = (size_t)got > room ? META_FLAG_TRUNCATED : 0;
		record[META_FAMILY] = kind == BATCH_PACKETS ? batch->slab[offset] >> 4 : 0;
		slot++;
	}
	return (int)slot;
}

int batch_read_packets(int descriptor, const struct batch *batch)
{
	return read_all(descriptor, BATCH_PACKETS, batch);
}

int batch_read_messages(int descriptor, const struct batch *batch)
{
	return read_all(descriptor, BATCH_MESSAGES, batch);
}

napi_value write_packets(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes slab;
	struct words meta;
	size_t first, count, written = 0;
	int descriptor;

	if (!arguments_read(env, info, 5, &arguments) || !argument_int(&arguments, 0, &descriptor) ||
	    !argument_bytes(&arguments, 1, &slab) || !argument_words(&arguments, 2, &meta) ||
	    !argument_size(&arguments, 3, UINT32_MAX, &first) || !argument_size(&arguments, 4, UINT32_MAX, &count))
		return NULL;
	if ((first + count) * META_WORDS > meta.count) {
		refuse(env, "the records end before the batch does");
		return NULL;
	}
	while (written < count) {
		const uint32_t *record = meta.data + (first + written) * META_WORDS;
		ssize_t result;

		if ((size_t)record[META_OFFSET] + record[META_LENGTH] > slab.length) {
			refuse(env, "a record points outside the slab");
			return NULL;
		}
		do {
			result = write(descriptor, slab.data + record[META_OFFSET], record[META_LENGTH]);
		} while (result < 0 && errno == EINTR);
		if (result < 0) {
			if (written == 0)
				return system_result(env, -1);
			break;
		}
		written++;
	}
	return number(env, (int64_t)written);
}
