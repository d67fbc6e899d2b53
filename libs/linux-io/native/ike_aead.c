/* SK payloads of IKE with OpenSSL's AEADs (RFC 5282). */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "ike_crypto.h"
#include "openssl_abi.h"

#define MAX_KEY 32
#define MAX_NONCE 12
#define MAX_ICV 16
#define NAME_ROOM 32

struct aead {
	const struct openssl *openssl;
	EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *context;
	size_t key_octets, nonce_octets, iv_octets, icv_octets;
};

static void aead_free(struct aead *aead)
{
	if (!aead)
		return;
	if (aead->context)
		aead->openssl->cipher_context_free(aead->context);
	if (aead->cipher)
		aead->openssl->cipher_free(aead->cipher);
	free(aead);
}

static void aead_finalize(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	aead_free(data);
}

napi_value aead_create(napi_env env, napi_callback_info info)
{
	const struct openssl *openssl = openssl_functions();
	struct arguments arguments;
	char name[NAME_ROOM];
	napi_value result = NULL;
	struct aead sizes = { .openssl = openssl }, *aead;

	if (!arguments_read(env, info, 5, &arguments) || !argument_text(&arguments, 0, name, sizeof name) ||
	    !argument_size(&arguments, 1, MAX_KEY, &sizes.key_octets) ||
	    !argument_size(&arguments, 2, MAX_NONCE, &sizes.nonce_octets) ||
	    !argument_size(&arguments, 3, sizes.nonce_octets, &sizes.iv_octets) ||
	    !argument_size(&arguments, 4, MAX_ICV, &sizes.icv_octets) || !openssl)
		return NULL;
	aead = malloc(sizeof *aead);
	if (!aead)
		return NULL;
	*aead = sizes;
	openssl->error_mark();
	aead->cipher = openssl->cipher_fetch(NULL, name, NULL);
	openssl->error_pop_to_mark();
	aead->context = openssl->cipher_context_new();
	if (!aead->cipher || !aead->context ||
	    napi_create_external(env, aead, aead_finalize, NULL, &result) != napi_ok) {
		aead_free(aead);
		return NULL;
	}
	return result;
}

struct task {
	const struct aead *aead;
	struct bytes key, message;
	size_t body_offset, text_octets;
	uint8_t *text, *icv;
};

static bool task_read(napi_env env, const struct arguments *arguments, struct task *task)
{
	const struct aead *aead;

	if (napi_get_value_external(env, arguments->values[0], (void **)&aead) != napi_ok || !aead)
		return refuse(env, "an AEAD is expected");
	if (!argument_bytes(arguments, 1, &task->key) || !argument_bytes(arguments, 2, &task->message) ||
	    !argument_size(arguments, 3, task->message.length, &task->body_offset))
		return false;
	size_t body_octets = task->message.length - task->body_offset;

	if (task->key.length != aead->key_octets + aead->nonce_octets - aead->iv_octets ||
	    task->message.length > INT_MAX || body_octets < aead->iv_octets + aead->icv_octets)
		return refuse(env, "the key or the message has another size");
	task->aead = aead;
	task->text_octets = body_octets - aead->iv_octets - aead->icv_octets;
	task->text = task->message.data + task->body_offset + aead->iv_octets;
	task->icv = task->text + task->text_octets;
	return true;
}

/* The context is left without the key. */
static bool run(const struct task *task, bool seals, uint8_t *out)
{
	const struct aead *aead = task->aead;
	const struct openssl *openssl = aead->openssl;
	size_t salt_octets = aead->nonce_octets - aead->iv_octets;
	uint8_t nonce[MAX_NONCE];
	int octets, icv_octets = (int)aead->icv_octets;
	bool done;

	memcpy(nonce, task->key.data + aead->key_octets, salt_octets);
	memcpy(nonce + salt_octets, task->message.data + task->body_offset, aead->iv_octets);
	openssl->error_mark();
	done = openssl->cipher_init(aead->context, aead->cipher, NULL, task->key.data, nonce, seals) == 1 &&
	       (seals || openssl->cipher_control(aead->context, CTRL_AEAD_SET_TAG, icv_octets, task->icv) == 1) &&
	       openssl->cipher_update(aead->context, NULL, &octets, task->message.data, (int)task->body_offset) == 1 &&
	       openssl->cipher_update(aead->context, out, &octets, task->text, (int)task->text_octets) == 1 &&
	       openssl->cipher_final(aead->context, out + task->text_octets, &octets) == 1 &&
	       (!seals || openssl->cipher_control(aead->context, CTRL_AEAD_GET_TAG, icv_octets, task->icv) == 1);
	openssl->error_pop_to_mark();
	openssl->cipher_context_reset(aead->context);
	return done;
}

napi_value aead_seal(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct task task;

	if (!arguments_read(env, info, 4, &arguments) || !task_read(env, &arguments, &task))
		return NULL;
	if (!run(&task, true, task.text))
		napi_throw_error(env, "ERR_CRYPTO", "OpenSSL refused to seal a message");
	return NULL;
}

napi_value aead_open(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes plaintext;
	struct task task;
	bool opened;

	if (!arguments_read(env, info, 5, &arguments) || !task_read(env, &arguments, &task) ||
	    !argument_bytes(&arguments, 4, &plaintext))
		return NULL;
	if (plaintext.length != task.text_octets) {
		refuse(env, "the plaintext has another size");
		return NULL;
	}
	opened = run(&task, false, plaintext.data);
	if (!opened)
		task.aead->openssl->cleanse(plaintext.data, plaintext.length);
	return number(env, opened);
}
