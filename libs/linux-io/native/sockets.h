/* Plain system calls on descriptors. Each returns the call's value, or the negated errno. */
#ifndef SALLYPORT_SOCKETS_H
#define SALLYPORT_SOCKETS_H

#include <node_api.h>

/* openSocket(family, type, protocol): descriptor, non-blocking and close-on-exec */
napi_value open_socket(napi_env env, napi_callback_info info);
/* openTun(name, flags): { descriptor, name }, or the negated errno */
napi_value open_tun(napi_env env, napi_callback_info info);
/* bindSocket(descriptor, sockaddr) */
napi_value bind_socket(napi_env env, napi_callback_info info);
/* socketName(descriptor, room): octets of the sockaddr written into `room` */
napi_value socket_name(napi_env env, napi_callback_info info);
/* setOption(descriptor, level, name, value) */
napi_value set_option(napi_env env, napi_callback_info info);
/* getOption(descriptor, level, name, room): octets written into `room` */
napi_value get_option(napi_env env, napi_callback_info info);
/* sendMessage(descriptor, data, sockaddr): octets taken; an empty sockaddr stands for none */
napi_value send_message(napi_env env, napi_callback_info info);
/* closeDescriptor(descriptor) */
napi_value close_descriptor(napi_env env, napi_callback_info info);

#endif
