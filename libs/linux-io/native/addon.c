/* The exports of the add-on; src/addon.ts is their only caller and states their types. */
#include <string.h>

#include "args.h"
#include "batch.h"
#include "esp.h"
#include "ike_crypto.h"
#include "poller.h"
#include "sockets.h"
#include "uv_abi.h"

static bool export_function(napi_env env, napi_value exports, const char *name, napi_callback function)
{
	napi_value value;

	return napi_create_function(env, name, NAPI_AUTO_LENGTH, function, NULL, &value) == napi_ok &&
	       napi_set_named_property(env, exports, name, value) == napi_ok;
}

NAPI_MODULE_INIT()
{
	static const struct {
		const char *name;
		napi_callback function;
	} functions[] = {
		{ "openSocket", open_socket },
		{ "openTun", open_tun },
		{ "bindSocket", bind_socket },
		{ "socketName", socket_name },
		{ "setOption", set_option },
		{ "getOption", get_option },
		{ "sendMessage", send_message },
		{ "closeDescriptor", close_descriptor },
		{ "sendDatagrams", send_datagrams },
		{ "writePackets", write_packets },
		{ "readIcmpError", read_icmp_error },
		{ "startPoller", start_poller },
		{ "pausePoller", pause_poller },
		{ "referencePoller", reference_poller },
		{ "stopPoller", stop_poller },
		{ "espCreate", esp_create },
		{ "espSeal", esp_seal },
		{ "espOpen", esp_open },
		{ "prfCreate", prf_create },
		{ "prfCompute", prf_compute },
		{ "prfExpand", prf_expand },
		{ "exchangeCreate", exchange_create },
		{ "exchangeRespond", exchange_respond },
		{ "aeadCreate", aead_create },
		{ "aeadSeal", aead_seal },
		{ "aeadOpen", aead_open },
	};
	const char *poll_name = uv_handle_type_name(SALLYPORT_UV_POLL);

	if (!poll_name || strcmp(poll_name, "poll") != 0) {
		napi_throw_error(env, "ERR_LIBUV", "this Node's libuv numbers its handle types differently");
		return NULL;
	}
	for (size_t index = 0; index < sizeof functions / sizeof *functions; index++) {
		if (!export_function(env, exports, functions[index].name, functions[index].function))
			return NULL;
	}
	return exports;
}
