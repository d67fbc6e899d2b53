/* Socket addresses and control data to and from record words. */
#ifndef SALLYPORT_ADDRESSES_H
#define SALLYPORT_ADDRESSES_H

#include <stdint.h>
#include <sys/socket.h>

void words_from_ipv4(uint32_t words[4], const void *octets);
void words_from_ipv6(uint32_t words[4], const void *octets);
void words_to_ipv6(void *octets, const uint32_t words[4]);

/* Family, port and address words of a record from a socket address. */
void record_far_end(uint32_t *record, const struct sockaddr_storage *address);
/* The socket address for a record's far end on a socket of `socket_family`; 0 when the record's family does not fit. */
socklen_t far_end_address(struct sockaddr_storage *address, const uint32_t *record, int socket_family);

#endif
