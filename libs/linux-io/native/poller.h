/* Readiness of descriptors on Node's own event loop, with a batch read on each wake-up. */
#ifndef SALLYPORT_POLLER_H
#define SALLYPORT_POLLER_H

#include <node_api.h>

/*
 * startPoller(descriptor, kind, slab, meta, slotOctets, headroom, callback): handle. The callback gets (count, error): packets
 * in the batch, or the negated errno that the read or the socket reported.
 */
napi_value start_poller(napi_env env, napi_callback_info info);
/* pausePoller(handle, paused) */
napi_value pause_poller(napi_env env, napi_callback_info info);
/* referencePoller(handle, referenced): whether the handle keeps the process alive */
napi_value reference_poller(napi_env env, napi_callback_info info);
/* stopPoller(handle): the descriptor is closed once the loop has let go of it */
napi_value stop_poller(napi_env env, napi_callback_info info);

#endif
