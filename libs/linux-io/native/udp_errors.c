/* The error queue of a UDP socket (IP_RECVERR): ICMP errors that answered our datagrams, one record each. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
/* errqueue.h uses struct timespec and does not declare it. */
#include <linux/errqueue.h>

#include "addresses.h"
#include "batch.h"

enum error_word { ERROR_ERRNO = 0, ERROR_TYPE = 1, ERROR_CODE = 2, ERROR_INFO = 13, ERROR_OFFENDER_FAMILY = 14 };

static void record_error(uint32_t *record, const struct cmsghdr *control)
{
	struct {
		struct sock_extended_err error;
		struct sockaddr_storage offender;
	} found;
	size_t length = control->cmsg_len - CMSG_LEN(0);

	memset(&found, 0, sizeof found);
	memcpy(&found, CMSG_DATA(control), length < sizeof found ? length : sizeof found);
	record[ERROR_ERRNO] = found.error.ee_errno;
	record[ERROR_TYPE] = found.error.ee_type;
	record[ERROR_CODE] = found.error.ee_code;
	record[ERROR_INFO] = found.error.ee_info;
	/* The offender's sockaddr follows sock_extended_err directly; AF_UNSPEC when the error is local. */
	if (found.offender.ss_family == AF_INET) {
		record[ERROR_OFFENDER_FAMILY] = 4;
		words_from_ipv4(record + META_LOCAL, &((struct sockaddr_in *)&found.offender)->sin_addr);
	} else if (found.offender.ss_family == AF_INET6) {
		record[ERROR_OFFENDER_FAMILY] = 6;
		words_from_ipv6(record + META_LOCAL, &((struct sockaddr_in6 *)&found.offender)->sin6_addr);
	}
}

napi_value read_icmp_error(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct words meta;
	struct sockaddr_storage destination;
	union {
		struct cmsghdr alignment;
		uint8_t octets[512];
	} control;
	uint8_t payload[64];
	struct iovec vector = { payload, sizeof payload };
	struct msghdr header = {
		.msg_name = &destination,
		.msg_namelen = sizeof destination,
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control.octets,
		.msg_controllen = sizeof control.octets,
	};
	ssize_t got;
	int descriptor;

	if (!arguments_read(env, info, 2, &arguments) || !argument_int(&arguments, 0, &descriptor) ||
	    !argument_words(&arguments, 1, &meta))
		return NULL;
	if (meta.count < META_WORDS) {
		refuse(env, "a record of META_WORDS words is expected");
		return NULL;
	}
	memset(&destination, 0, sizeof destination);
	do {
		got = recvmsg(descriptor, &header, MSG_ERRQUEUE | MSG_DONTWAIT);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? number(env, 0) : system_result(env, -1);
	memset(meta.data, 0, META_WORDS * sizeof *meta.data);
	record_far_end(meta.data, &destination);
	for (struct cmsghdr *item = CMSG_FIRSTHDR(&header); item; item = CMSG_NXTHDR(&header, item)) {
		if ((item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_RECVERR) ||
		    (item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_RECVERR))
			record_error(meta.data, item);
	}
	return number(env, 1);
}
