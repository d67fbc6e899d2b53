#include "args.h"

#include <errno.h>
#include <limits.h>

bool refuse(napi_env env, const char *message)
{
	napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
	return false;
}

bool arguments_read(napi_env env, napi_callback_info info, size_t wanted, struct arguments *arguments)
{
	arguments->env = env;
	arguments->count = MAX_ARGUMENTS;
	if (napi_get_cb_info(env, info, &arguments->count, arguments->values, NULL, NULL) != napi_ok)
		return refuse(env, "arguments cannot be read");
	if (arguments->count < wanted)
		return refuse(env, "too few arguments");
	return true;
}

bool argument_int(const struct arguments *arguments, size_t index, int *result)
{
	double value;

	if (napi_get_value_double(arguments->env, arguments->values[index], &value) != napi_ok)
		return refuse(arguments->env, "a number is expected");
	if (!(value >= INT_MIN && value <= INT_MAX) || value != (double)(int)value)
		return refuse(arguments->env, "a 32-bit integer is expected");
	*result = (int)value;
	return true;
}

bool argument_size(const struct arguments *arguments, size_t index, size_t limit, size_t *result)
{
	double value;

	if (napi_get_value_double(arguments->env, arguments->values[index], &value) != napi_ok)
		return refuse(arguments->env, "a number is expected");
	if (!(value >= 0 && value <= (double)limit) || value != (double)(size_t)value)
		return refuse(arguments->env, "a size within its limit is expected");
	*result = (size_t)value;
	return true;
}

bool argument_bytes(const struct arguments *arguments, size_t index, struct bytes *result)
{
	napi_typedarray_type type;
	void *data;

	if (napi_get_typedarray_info(arguments->env, arguments->values[index], &type, &result->length, &data, NULL,
				     NULL) != napi_ok ||
	    type != napi_uint8_array)
		return refuse(arguments->env, "a Uint8Array is expected");
	result->data = data;
	return true;
}

bool argument_words(const struct arguments *arguments, size_t index, struct words *result)
{
	napi_typedarray_type type;
	void *data;

	if (napi_get_typedarray_info(arguments->env, arguments->values[index], &type, &result->count, &data, NULL,
				     NULL) != napi_ok ||
	    type != napi_uint32_array)
		return refuse(arguments->env, "a Uint32Array is expected");
	result->data = data;
	return true;
}

bool argument_text(const struct arguments *arguments, size_t index, char *result, size_t room)
{
	size_t length;

	if (napi_get_value_string_utf8(arguments->env, arguments->values[index], NULL, 0, &length) != napi_ok)
		return refuse(arguments->env, "a string is expected");
	if (length >= room)
		return refuse(arguments->env, "the string is too long");
	return napi_get_value_string_utf8(arguments->env, arguments->values[index], result, room, &length) == napi_ok;
}

bool argument_function(const struct arguments *arguments, size_t index, napi_value *result)
{
	napi_valuetype type;

	if (napi_typeof(arguments->env, arguments->values[index], &type) != napi_ok || type != napi_function)
		return refuse(arguments->env, "a function is expected");
	*result = arguments->values[index];
	return true;
}

napi_value number(napi_env env, int64_t value)
{
	napi_value result = NULL;

	napi_create_int64(env, value, &result);
	return result;
}

napi_value system_result(napi_env env, long result)
{
	return number(env, result < 0 ? -(int64_t)errno : (int64_t)result);
}
