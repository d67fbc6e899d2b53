/* Reading of JavaScript arguments: each function says whether the argument had the right shape, and throws a TypeError when not. */
#ifndef SALLYPORT_ARGS_H
#define SALLYPORT_ARGS_H

#define NAPI_VERSION 8
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_ARGUMENTS 8

struct arguments {
	napi_env env;
	size_t count;
	napi_value values[MAX_ARGUMENTS];
};

struct bytes {
	uint8_t *data;
	size_t length;
};

struct words {
	uint32_t *data;
	size_t count;
};

bool arguments_read(napi_env env, napi_callback_info info, size_t wanted, struct arguments *arguments);
bool argument_int(const struct arguments *arguments, size_t index, int *result);
bool argument_size(const struct arguments *arguments, size_t index, size_t limit, size_t *result);
bool argument_bytes(const struct arguments *arguments, size_t index, struct bytes *result);
bool argument_words(const struct arguments *arguments, size_t index, struct words *result);
bool argument_text(const struct arguments *arguments, size_t index, char *result, size_t room);
bool argument_function(const struct arguments *arguments, size_t index, napi_value *result);

/* Throws; always false, so that a check can end with it. */
bool refuse(napi_env env, const char *message);

/* A JavaScript number: the value of a system call, or the negated errno when it failed. */
napi_value system_result(napi_env env, long result);
napi_value number(napi_env env, int64_t value);

#endif
