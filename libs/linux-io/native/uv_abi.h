/*
 * The few functions of libuv that the poller calls, declared here because no npm package carries uv.h. Every Node binary
 * exports them, and their ABI is fixed for all of libuv 1.x: handles are opaque and sized at run time by uv_handle_size.
 */
#ifndef SALLYPORT_UV_ABI_H
#define SALLYPORT_UV_ABI_H

#include <stddef.h>

typedef struct uv_loop_s uv_loop_t;
typedef struct uv_handle_s uv_handle_t;
typedef struct uv_poll_s uv_poll_t;
typedef void (*uv_poll_cb)(uv_poll_t *handle, int status, int events);
typedef void (*uv_close_cb)(uv_handle_t *handle);

/* Position of POLL in UV_HANDLE_TYPE_MAP (after ASYNC … NAMED_PIPE). */
enum { SALLYPORT_UV_POLL = 8 };
/* enum uv_poll_event */
enum { SALLYPORT_UV_READABLE = 1 };

size_t uv_handle_size(int handle_type);
const char *uv_handle_type_name(int handle_type);
void *uv_handle_get_data(const uv_handle_t *handle);
void uv_handle_set_data(uv_handle_t *handle, void *data);
int uv_poll_init(uv_loop_t *loop, uv_poll_t *handle, int fd);
int uv_poll_start(uv_poll_t *handle, int events, uv_poll_cb callback);
int uv_poll_stop(uv_poll_t *handle);
void uv_close(uv_handle_t *handle, uv_close_cb callback);
void uv_ref(uv_handle_t *handle);
void uv_unref(uv_handle_t *handle);

#endif
