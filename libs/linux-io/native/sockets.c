#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "args.h"

#define MAX_OPTION_OCTETS 4096

napi_value open_socket(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int family, type, protocol;

	if (!arguments_read(env, info, 3, &arguments) || !argument_int(&arguments, 0, &family) ||
	    !argument_int(&arguments, 1, &type) || !argument_int(&arguments, 2, &protocol))
		return NULL;
	return system_result(env, socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
}

napi_value open_tun(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct ifreq request;
	napi_value result, name;
	int flags, descriptor;

	memset(&request, 0, sizeof request);
	if (!arguments_read(env, info, 2, &arguments) ||
	    !argument_text(&arguments, 0, request.ifr_name, sizeof request.ifr_name) ||
	    !argument_int(&arguments, 1, &flags))
		return NULL;
	descriptor = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (descriptor < 0)
		return system_result(env, -1);
	request.ifr_flags = (short)flags;
	if (ioctl(descriptor, TUNSETIFF, &request) < 0) {
		int reason = errno;

		close(descriptor);
		return number(env, -reason);
	}
	request.ifr_name[sizeof request.ifr_name - 1] = '\0';
	napi_create_object(env, &result);
	napi_create_string_utf8(env, request.ifr_name, NAPI_AUTO_LENGTH, &name);
	napi_set_named_property(env, result, "name", name);
	napi_set_named_property(env, result, "descriptor", number(env, descriptor));
	return result;
}

napi_value bind_socket(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes address;
	int descriptor;

	if (!arguments_read(env, info, 2, &arguments) || !argument_int(&arguments, 0, &descriptor) ||
	    !argument_bytes(&arguments, 1, &address))
		return NULL;
	return system_result(env, bind(descriptor, (struct sockaddr *)address.data, (socklen_t)address.length));
}

napi_value socket_name(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes room;
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	int descriptor;

	if (!arguments_read(env, info, 2, &arguments) || !argument_int(&arguments, 0, &descriptor) ||
	    !argument_bytes(&arguments, 1, &room))
		return NULL;
	if (getsockname(descriptor, (struct sockaddr *)&address, &length) < 0)
		return system_result(env, -1);
	if (length > sizeof address || length > room.length)
		return number(env, -ENOBUFS);
	memcpy(room.data, &address, length);
	return number(env, length);
}

napi_value set_option(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes value;
	int descriptor, level, name;

	if (!arguments_read(env, info, 4, &arguments) || !argument_int(&arguments, 0, &descriptor) ||
	    !argument_int(&arguments, 1, &level) || !argument_int(&arguments, 2, &name) ||
	    !argument_bytes(&arguments, 3, &value))
		return NULL;
	if (value.length > MAX_OPTION_OCTETS) {
		refuse(env, "the option value is too long");
		return NULL;
	}
	return system_result(env, setsockopt(descriptor, level, name, value.data, (socklen_t)value.length));
}

napi_value get_option(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes room;
	socklen_t length;
	int descriptor, level, name;

	if (!arguments_read(env, info, 4, &arguments) || !argument_int(&arguments, 0, &descriptor) ||
	    !argument_int(&arguments, 1, &level) || !argument_int(&arguments, 2, &name) ||
	    !argument_bytes(&arguments, 3, &room))
		return NULL;
	length = room.length > MAX_OPTION_OCTETS ? MAX_OPTION_OCTETS : (socklen_t)room.length;
	if (getsockopt(descriptor, level, name, room.data, &length) < 0)
		return system_result(env, -1);
	return number(env, length);
}

napi_value send_message(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes data, address;
	int descriptor;
	ssize_t sent;

	if (!arguments_read(env, info, 3, &arguments) || !argument_int(&arguments, 0, &descriptor) ||
	    !argument_bytes(&arguments, 1, &data) || !argument_bytes(&arguments, 2, &address))
		return NULL;
	do {
		sent = sendto(descriptor, data.data, data.length, MSG_DONTWAIT | MSG_NOSIGNAL,
			      address.length > 0 ? (struct sockaddr *)address.data : NULL, (socklen_t)address.length);
	} while (sent < 0 && errno == EINTR);
	return system_result(env, sent);
}

napi_value close_descriptor(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int descriptor;

	if (!arguments_read(env, info, 1, &arguments) || !argument_int(&arguments, 0, &descriptor))
		return NULL;
	return system_result(env, close(descriptor));
}
