/* Reading and writing batches of UDP datagrams with their local address (recvmmsg, sendmmsg). */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "addresses.h"
#include "batch.h"

#define CONTROL_OCTETS 128

struct reading {
	struct mmsghdr headers[MAX_BATCH];
	struct iovec vectors[MAX_BATCH];
	struct sockaddr_storage names[MAX_BATCH];
	union {
		struct cmsghdr alignment;
		uint8_t octets[CONTROL_OCTETS];
	} controls[MAX_BATCH];
};

/* Calls never overlap on one thread, and the arrays are too big for a stack. */
static _Thread_local struct reading work;

static void record_control(uint32_t *record, struct msghdr *header)
{
	for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control)) {
		if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo packet;

			memcpy(&packet, CMSG_DATA(control), sizeof packet);
			words_from_ipv4(record + META_LOCAL, &packet.ipi_addr);
			record[META_INTERFACE] = (uint32_t)packet.ipi_ifindex;
		} else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo packet;

			memcpy(&packet, CMSG_DATA(control), sizeof packet);
			words_from_ipv6(record + META_LOCAL, &packet.ipi6_addr);
			record[META_INTERFACE] = packet.ipi6_ifindex;
		} else if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_TOS) {
			record[META_TOS] = *(const uint8_t *)CMSG_DATA(control);
		} else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_TCLASS) {
			int traffic_class;

			memcpy(&traffic_class, CMSG_DATA(control), sizeof traffic_class);
			record[META_TOS] = (uint32_t)traffic_class & 0xff;
		}
	}
}

int batch_read_datagrams(int descriptor, const struct batch *batch)
{
	int count;

	for (size_t slot = 0; slot < batch->slots; slot++) {
		work.vectors[slot].iov_base = batch->slab + slot * batch->slot_octets + batch->headroom;
		work.vectors[slot].iov_len = batch->slot_octets - batch->headroom;
		work.headers[slot].msg_hdr = (struct msghdr){
			.msg_name = &work.names[slot],
			.msg_namelen = sizeof work.names[slot],
			.msg_iov = &work.vectors[slot],
			.msg_iovlen = 1,
			.msg_control = work.controls[slot].octets,
			.msg_controllen = CONTROL_OCTETS,
		};
	}
	do {
		count = recvmmsg(descriptor, work.headers, (unsigned int)batch->slots, MSG_DONTWAIT, NULL);
	} while (count < 0 && errno == EINTR);
	if (count < 0)
		return errno == EAGAIN ? 0 : -errno;
	for (int slot = 0; slot < count; slot++) {
		uint32_t *record = batch->meta + (size_t)slot * META_WORDS;
		struct msghdr *header = &work.headers[slot].msg_hdr;

		memset(record, 0, META_WORDS * sizeof *record);
		record[META_OFFSET] = (uint32_t)((size_t)slot * batch->slot_octets + batch->headroom);
		record[META_LENGTH] = work.headers[slot].msg_len;
		record[META_FLAGS] = header->msg_flags & MSG_TRUNC ? META_FLAG_TRUNCATED : 0;
		record_far_end(record, &work.names[slot]);
		record_control(record, header);
	}
	return count;
}

static bool local_given(const uint32_t *record)
{
	return record[META_LOCAL] || record[META_LOCAL + 1] || record[META_LOCAL + 2] || record[META_LOCAL + 3];
}

/* Fills the control data that chooses source address, interface and TOS; its length. */
static size_t control_for(uint8_t *room, const uint32_t *record, int family)
{
	struct msghdr header = { .msg_control = room, .msg_controllen = CONTROL_OCTETS };
	struct cmsghdr *control;
	size_t used = 0;

	memset(room, 0, CONTROL_OCTETS);
	control = CMSG_FIRSTHDR(&header);
	if (local_given(record) || record[META_INTERFACE]) {
		if (family == AF_INET) {
			struct in_pktinfo packet = { .ipi_ifindex = (int)record[META_INTERFACE] };

			packet.ipi_spec_dst.s_addr = htonl(record[META_LOCAL]);
			control->cmsg_level = IPPROTO_IP;
			control->cmsg_type = IP_PKTINFO;
			control->cmsg_len = CMSG_LEN(sizeof packet);
			memcpy(CMSG_DATA(control), &packet, sizeof packet);
			used += CMSG_SPACE(sizeof packet);
		} else {
			struct in6_pktinfo packet = { .ipi6_ifindex = record[META_INTERFACE] };

			words_to_ipv6(&packet.ipi6_addr, record + META_LOCAL);
			control->cmsg_level = IPPROTO_IPV6;
			control->cmsg_type = IPV6_PKTINFO;
			control->cmsg_len = CMSG_LEN(sizeof packet);
			memcpy(CMSG_DATA(control), &packet, sizeof packet);
			used += CMSG_SPACE(sizeof packet);
		}
		control = (struct cmsghdr *)(room + used);
	}
	if (record[META_TOS]) {
		int value = (int)(record[META_TOS] & 0xff);

		control->cmsg_level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
		control->cmsg_type = family == AF_INET ? IP_TOS : IPV6_TCLASS;
		control->cmsg_len = CMSG_LEN(sizeof value);
		memcpy(CMSG_DATA(control), &value, sizeof value);
		used += CMSG_SPACE(sizeof value);
	}
	return used;
}

napi_value send_datagrams(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes slab;
	struct words meta;
	size_t first, count;
	int descriptor, family = 0, sent;
	socklen_t family_octets = sizeof family;

	if (!arguments_read(env, info, 5, &arguments) || !argument_int(&arguments, 0, &descriptor) ||
	    !argument_bytes(&arguments, 1, &slab) || !argument_words(&arguments, 2, &meta) ||
	    !argument_size(&arguments, 3, UINT32_MAX, &first) || !argument_size(&arguments, 4, UINT32_MAX, &count))
		return NULL;
	if (count > MAX_BATCH)
		count = MAX_BATCH;
	if ((first + count) * META_WORDS > meta.count) {
		refuse(env, "the records end before the batch does");
		return NULL;
	}
	if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &family, &family_octets) < 0)
		return system_result(env, -1);
	for (size_t index = 0; index < count; index++) {
		const uint32_t *record = meta.data + (first + index) * META_WORDS;
		struct msghdr *header = &work.headers[index].msg_hdr;
		socklen_t name_octets = far_end_address(&work.names[index], record, family);

		if (name_octets == 0) {
			refuse(env, "the record's family is not the socket's");
			return NULL;
		}
		if ((size_t)record[META_OFFSET] + record[META_LENGTH] > slab.length) {
			refuse(env, "a record points outside the slab");
			return NULL;
		}
		work.vectors[index].iov_base = slab.data + record[META_OFFSET];
		work.vectors[index].iov_len = record[META_LENGTH];
		*header = (struct msghdr){
			.msg_name = &work.names[index],
			.msg_namelen = name_octets,
			.msg_iov = &work.vectors[index],
			.msg_iovlen = 1,
		};
		header->msg_controllen = control_for(work.controls[index].octets, record, family);
		header->msg_control = header->msg_controllen > 0 ? work.controls[index].octets : NULL;
	}
	do {
		sent = sendmmsg(descriptor, work.headers, (unsigned int)count, MSG_DONTWAIT);
	} while (sent < 0 && errno == EINTR);
	return system_result(env, sent);
}
