#include "addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "batch.h"

void words_from_ipv4(uint32_t words[4], const void *octets)
{
	uint32_t address;

	memcpy(&address, octets, sizeof address);
	words[0] = ntohl(address);
	words[1] = words[2] = words[3] = 0;
}

void words_from_ipv6(uint32_t words[4], const void *octets)
{
	uint32_t address[4];

	memcpy(address, octets, sizeof address);
	for (int word = 0; word < 4; word++)
		words[word] = ntohl(address[word]);
}

void words_to_ipv6(void *octets, const uint32_t words[4])
{
	uint32_t address[4];

	for (int word = 0; word < 4; word++)
		address[word] = htonl(words[word]);
	memcpy(octets, address, sizeof address);
}

void record_far_end(uint32_t *record, const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET) {
		const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)address;

		record[META_FAMILY] = 4;
		record[META_PORT] = ntohs(ipv4->sin_port);
		words_from_ipv4(record + META_ADDRESS, &ipv4->sin_addr);
	} else {
		const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)address;

		record[META_FAMILY] = 6;
		record[META_PORT] = ntohs(ipv6->sin6_port);
		words_from_ipv6(record + META_ADDRESS, &ipv6->sin6_addr);
	}
}

socklen_t far_end_address(struct sockaddr_storage *address, const uint32_t *record, int socket_family)
{
	memset(address, 0, sizeof *address);
	if (socket_family == AF_INET && record[META_FAMILY] == 4) {
		struct sockaddr_in *ipv4 = (struct sockaddr_in *)address;

		ipv4->sin_family = AF_INET;
		ipv4->sin_port = htons((uint16_t)record[META_PORT]);
		ipv4->sin_addr.s_addr = htonl(record[META_ADDRESS]);
		return sizeof *ipv4;
	}
	if (socket_family == AF_INET6 && record[META_FAMILY] == 6) {
		struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)address;

		ipv6->sin6_family = AF_INET6;
		ipv6->sin6_port = htons((uint16_t)record[META_PORT]);
		ipv6->sin6_scope_id = record[META_INTERFACE];
		words_to_ipv6(&ipv6->sin6_addr, record + META_ADDRESS);
		return sizeof *ipv6;
	}
	return 0;
}
