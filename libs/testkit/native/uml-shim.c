/*
 * Preloaded into a User Mode Linux kernel. Up to version 6.12 it keeps a thread's extended registers in a buffer of fixed size
 * and hands that to PTRACE_SETREGSET. A host whose processor has a larger save area (AMX) refuses the short buffer with
 * EFAULT, and the guest panics. The call is repeated here with the buffer padded to what the host wants.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXTENDED_REGISTERS 0x202L /* NT_X86_XSTATE */
#define HEADER_OFFSET 512         /* of XSTATE_BV, Intel SDM volume 1, 13.4.2 */
#define AMX_COMPONENTS (UINT64_C(3) << 17)

static uint8_t padded[1 << 16] __attribute__((aligned(64)));
static size_t wanted;

static long set_extended_registers(long process, struct iovec *given)
{
	struct iovec full = { padded, sizeof padded };
	uint64_t components;

	if (wanted == 0) {
		if (syscall(SYS_ptrace, PTRACE_GETREGSET, process, EXTENDED_REGISTERS, &full) < 0)
			return -1;
		wanted = full.iov_len;
		memset(padded, 0, sizeof padded);
	}
	if (given->iov_len >= wanted)
		return syscall(SYS_ptrace, PTRACE_SETREGSET, process, EXTENDED_REGISTERS, given);
	memcpy(padded, given->iov_base, given->iov_len);
	/* Tile registers are behind what was given: say that they are in their initial state. */
	memcpy(&components, padded + HEADER_OFFSET, sizeof components);
	components &= ~AMX_COMPONENTS;
	memcpy(padded + HEADER_OFFSET, &components, sizeof components);
	full.iov_len = wanted;
	return syscall(SYS_ptrace, PTRACE_SETREGSET, process, EXTENDED_REGISTERS, &full);
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list rest;
	long process, word, result;
	void *address, *data;

	va_start(rest, request);
	process = va_arg(rest, long);
	address = va_arg(rest, void *);
	data = va_arg(rest, void *);
	va_end(rest);
	if (request == PTRACE_SETREGSET && (long)address == EXTENDED_REGISTERS)
		return set_extended_registers(process, data);
	if (request != PTRACE_PEEKTEXT && request != PTRACE_PEEKDATA && request != PTRACE_PEEKUSER)
		return syscall(SYS_ptrace, (long)request, process, address, data);
	/* The system call stores the word; the C library's function returns it. */
	result = syscall(SYS_ptrace, (long)request, process, address, &word);
	if (result < 0)
		return result;
	errno = 0;
	return word;
}
