#include "poller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "batch.h"
#include "uv_abi.h"

/* Guards against a handle of another add-on; any 64 random bits. */
static const napi_type_tag poller_tag = { 0x5a11f0a7c3d94e21ULL, 0x9e0b6d1c47f2a853ULL };

struct poller {
	napi_env env;
	napi_ref callback, slab, meta;
	napi_async_context context;
	napi_async_cleanup_hook_handle cleanup;
	uv_poll_t *handle;
	enum batch_kind kind;
	struct batch batch;
	int descriptor;
	bool closing;
	/* Two owners: the loop until on_closed, JavaScript until the external is collected. */
	bool closed, collected;
};

static void release(struct poller *poller)
{
	if (poller->closed && poller->collected)
		free(poller);
}

static void on_closed(uv_handle_t *handle)
{
	struct poller *poller = uv_handle_get_data(handle);
	napi_handle_scope scope;

	close(poller->descriptor);
	if (napi_open_handle_scope(poller->env, &scope) == napi_ok) {
		napi_delete_reference(poller->env, poller->callback);
		napi_delete_reference(poller->env, poller->slab);
		napi_delete_reference(poller->env, poller->meta);
		napi_async_destroy(poller->env, poller->context);
		napi_close_handle_scope(poller->env, scope);
	}
	if (poller->cleanup)
		napi_remove_async_cleanup_hook(poller->cleanup);
	free(handle);
	poller->closed = true;
	release(poller);
}

static void begin_close(struct poller *poller)
{
	if (poller->closing)
		return;
	poller->closing = true;
	uv_poll_stop(poller->handle);
	uv_close((uv_handle_t *)poller->handle, on_closed);
}

static void on_environment_exit(napi_async_cleanup_hook_handle hook, void *data)
{
	(void)hook;
	begin_close(data);
}

static void report(struct poller *poller, int count, int error)
{
	napi_handle_scope scope;
	napi_value callback, receiver, values[2], result;

	if (napi_open_handle_scope(poller->env, &scope) != napi_ok)
		return;
	napi_get_reference_value(poller->env, poller->callback, &callback);
	napi_get_global(poller->env, &receiver);
	values[0] = number(poller->env, count);
	values[1] = number(poller->env, error);
	if (napi_make_callback(poller->env, poller->context, receiver, callback, 2, values, &result) ==
	    napi_pending_exception) {
		napi_value exception;

		napi_get_and_clear_last_exception(poller->env, &exception);
		napi_fatal_exception(poller->env, exception);
	}
	napi_close_handle_scope(poller->env, scope);
}

static int pending_socket_error(const struct poller *poller)
{
	int error = 0;
	socklen_t length = sizeof error;

	if (poller->kind == BATCH_PACKETS || getsockopt(poller->descriptor, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		return 0;
	return -error;
}

static int read_batch(const struct poller *poller)
{
	switch (poller->kind) {
	case BATCH_DATAGRAMS:
		return batch_read_datagrams(poller->descriptor, &poller->batch);
	case BATCH_PACKETS:
		return batch_read_packets(poller->descriptor, &poller->batch);
	case BATCH_MESSAGES:
		return batch_read_messages(poller->descriptor, &poller->batch);
	}
	return 0;
}

static void on_ready(uv_poll_t *handle, int status, int events)
{
	struct poller *poller = uv_handle_get_data((uv_handle_t *)handle);
	int error = 0, count;

	(void)events;
	if (poller->closing)
		return;
	/* POLLERR (a queued ICMP error, a netlink overrun) arrives as UV_EBADF with the watcher stopped: go on watching. */
	if (status < 0) {
		uv_poll_start(handle, SALLYPORT_UV_READABLE, on_ready);
		error = pending_socket_error(poller);
	}
	count = read_batch(poller);
	if (count < 0) {
		error = error ? error : count;
		count = 0;
	}
	/* An error queue that is not empty raises POLLERR for ever: say so even when SO_ERROR was clear. */
	if (count > 0 || error || status < 0)
		report(poller, count, error);
}

static void on_collected(napi_env env, void *data, void *hint)
{
	struct poller *poller = data;

	(void)env;
	(void)hint;
	poller->collected = true;
	release(poller);
}

static bool read_poller(const struct arguments *arguments, struct poller **poller)
{
	bool ours = false;

	if (napi_check_object_type_tag(arguments->env, arguments->values[0], &poller_tag, &ours) != napi_ok || !ours)
		return refuse(arguments->env, "a poller is expected");
	return napi_get_value_external(arguments->env, arguments->values[0], (void **)poller) == napi_ok;
}

static bool read_batch_arguments(const struct arguments *arguments, struct poller *poller)
{
	struct bytes slab;
	struct words meta;
	struct batch *batch = &poller->batch;
	int kind;

	if (!argument_int(arguments, 0, &poller->descriptor) || !argument_int(arguments, 1, &kind) ||
	    !argument_bytes(arguments, 2, &slab) || !argument_words(arguments, 3, &meta) ||
	    !argument_size(arguments, 4, slab.length, &batch->slot_octets) ||
	    !argument_size(arguments, 5, slab.length, &batch->headroom))
		return false;
	if (kind < BATCH_DATAGRAMS || kind > BATCH_MESSAGES)
		return refuse(arguments->env, "an unknown kind of batch");
	if (batch->slot_octets < batch->headroom + 64)
		return refuse(arguments->env, "a slot needs room for its headroom and 64 octets");
	poller->kind = (enum batch_kind)kind;
	batch->slab = slab.data;
	batch->meta = meta.data;
	batch->slots = slab.length / batch->slot_octets;
	if (batch->slots > meta.count / META_WORDS)
		batch->slots = meta.count / META_WORDS;
	if (batch->slots > MAX_BATCH)
		batch->slots = MAX_BATCH;
	return batch->slots > 0 || refuse(arguments->env, "the slab has no slot");
}

static int watch(struct poller *poller)
{
	uv_loop_t *loop;
	int result;

	if (napi_get_uv_event_loop(poller->env, (void *)&loop) != napi_ok)
		return -ENOSYS;
	result = uv_poll_init(loop, poller->handle, poller->descriptor);
	if (result < 0)
		return result;
	uv_handle_set_data((uv_handle_t *)poller->handle, poller);
	return uv_poll_start(poller->handle, SALLYPORT_UV_READABLE, on_ready);
}

napi_value start_poller(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct poller *poller;
	napi_value callback, name, external;
	int result;

	if (!arguments_read(env, info, 7, &arguments) || !argument_function(&arguments, 6, &callback))
		return NULL;
	poller = calloc(1, sizeof *poller);
	if (poller)
		poller->handle = calloc(1, uv_handle_size(SALLYPORT_UV_POLL));
	if (!poller || !poller->handle) {
		free(poller);
		return number(env, -ENOMEM);
	}
	poller->env = env;
	if (!read_batch_arguments(&arguments, poller)) {
		free(poller->handle);
		free(poller);
		return NULL;
	}
	result = watch(poller);
	if (result < 0) {
		free(poller->handle);
		free(poller);
		return number(env, result);
	}
	napi_create_reference(env, callback, 1, &poller->callback);
	napi_create_reference(env, arguments.values[2], 1, &poller->slab);
	napi_create_reference(env, arguments.values[3], 1, &poller->meta);
	napi_create_string_utf8(env, "sallyport:poller", NAPI_AUTO_LENGTH, &name);
	napi_async_init(env, NULL, name, &poller->context);
	napi_add_async_cleanup_hook(env, on_environment_exit, poller, &poller->cleanup);
	napi_create_external(env, poller, on_collected, NULL, &external);
	napi_type_tag_object(env, external, &poller_tag);
	return external;
}

napi_value pause_poller(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct poller *poller;
	bool paused;

	if (!arguments_read(env, info, 2, &arguments) || !read_poller(&arguments, &poller))
		return NULL;
	if (napi_get_value_bool(env, arguments.values[1], &paused) != napi_ok) {
		refuse(env, "a boolean is expected");
		return NULL;
	}
	if (!poller->closing) {
		if (paused)
			uv_poll_stop(poller->handle);
		else
			uv_poll_start(poller->handle, SALLYPORT_UV_READABLE, on_ready);
	}
	return NULL;
}

napi_value reference_poller(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct poller *poller;
	bool referenced;

	if (!arguments_read(env, info, 2, &arguments) || !read_poller(&arguments, &poller))
		return NULL;
	if (napi_get_value_bool(env, arguments.values[1], &referenced) != napi_ok) {
		refuse(env, "a boolean is expected");
		return NULL;
	}
	if (!poller->closing) {
		if (referenced)
			uv_ref((uv_handle_t *)poller->handle);
		else
			uv_unref((uv_handle_t *)poller->handle);
	}
	return NULL;
}

napi_value stop_poller(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct poller *poller;

	if (arguments_read(env, info, 1, &arguments) && read_poller(&arguments, &poller))
		begin_close(poller);
	return NULL;
}
