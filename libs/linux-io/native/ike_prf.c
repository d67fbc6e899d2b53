/* PRFs of IKE over OpenSSL's hashes. */
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "ike_crypto.h"
#include "openssl_abi.h"

#define MAX_BLOCK 128
#define MAX_DIGEST 64
#define MAX_ROUNDS 255
#define NAME_ROOM 32

struct prf {
	const struct openssl *openssl;
	EVP_MD *digest;
	EVP_MD_CTX *context;
	size_t block_octets, digest_octets;
};

/* A key made ready for several calls. */
struct pads {
	uint8_t inner[MAX_BLOCK], outer[MAX_BLOCK];
};

struct part {
	const uint8_t *data;
	size_t octets;
};

static void prf_free(struct prf *prf)
{
	if (!prf)
		return;
	if (prf->context)
		prf->openssl->digest_context_free(prf->context);
	if (prf->digest)
		prf->openssl->digest_free(prf->digest);
	free(prf);
}

static void prf_finalize(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	prf_free(data);
}

napi_value prf_create(napi_env env, napi_callback_info info)
{
	const struct openssl *openssl = openssl_functions();
	struct arguments arguments;
	char name[NAME_ROOM];
	napi_value result = NULL;
	struct prf *prf;

	if (!arguments_read(env, info, 1, &arguments) || !argument_text(&arguments, 0, name, sizeof name) || !openssl)
		return NULL;
	prf = calloc(1, sizeof *prf);
	if (!prf)
		return NULL;
	prf->openssl = openssl;
	openssl->error_mark();
	prf->digest = openssl->digest_fetch(NULL, name, NULL);
	openssl->error_pop_to_mark();
	prf->context = openssl->digest_context_new();
	if (prf->digest) {
		prf->block_octets = (size_t)openssl->digest_block_octets(prf->digest);
		prf->digest_octets = (size_t)openssl->digest_octets(prf->digest);
	}
	if (!prf->context || prf->block_octets == 0 || prf->block_octets > MAX_BLOCK || prf->digest_octets == 0 ||
	    prf->digest_octets > MAX_DIGEST || napi_create_external(env, prf, prf_finalize, NULL, &result) != napi_ok) {
		prf_free(prf);
		return NULL;
	}
	return result;
}

static bool digest(const struct prf *prf, const struct part *parts, size_t count, uint8_t *out)
{
	const struct openssl *openssl = prf->openssl;

	if (openssl->digest_init(prf->context, prf->digest, NULL) != 1)
		return false;
	for (size_t index = 0; index < count; index++) {
		if (openssl->digest_update(prf->context, parts[index].data, parts[index].octets) != 1)
			return false;
	}
	return openssl->digest_final(prf->context, out, NULL) == 1;
}

static bool take_key(const struct prf *prf, struct pads *pads, const uint8_t *key, size_t octets)
{
	memset(pads->inner, 0, sizeof pads->inner);
	if (octets > prf->block_octets) {
		struct part whole = { key, octets };

		if (!digest(prf, &whole, 1, pads->inner))
			return false;
	} else {
		memcpy(pads->inner, key, octets);
	}
	for (size_t index = 0; index < prf->block_octets; index++) {
		pads->outer[index] = pads->inner[index] ^ 0x5c;
		pads->inner[index] ^= 0x36;
	}
	return true;
}

/* `parts` has room for the pad as its first. */
static bool compute(const struct prf *prf, const struct pads *pads, struct part *parts, size_t count, uint8_t *out)
{
	uint8_t hashed[MAX_DIGEST];
	struct part outer[] = { { pads->outer, prf->block_octets }, { hashed, prf->digest_octets } };
	bool done;

	parts[0] = (struct part){ pads->inner, prf->block_octets };
	done = digest(prf, parts, count, hashed) && digest(prf, outer, 2, out);
	prf->openssl->cleanse(hashed, sizeof hashed);
	return done;
}

/* The context's last state is an output, which may be a key. */
static void forget(const struct prf *prf, struct pads *pads)
{
	prf->openssl->cleanse(pads, sizeof *pads);
	prf->openssl->digest_init(prf->context, prf->digest, NULL);
}

struct task {
	const struct prf *prf;
	struct bytes room;
	size_t key_octets, data_octets;
};

static bool task_read(napi_env env, const struct arguments *arguments, struct task *task)
{
	if (napi_get_value_external(env, arguments->values[0], (void **)&task->prf) != napi_ok || !task->prf)
		return refuse(env, "a PRF is expected");
	if (!argument_bytes(arguments, 1, &task->room) ||
	    !argument_size(arguments, 2, task->room.length, &task->key_octets) ||
	    !argument_size(arguments, 3, task->room.length - task->key_octets, &task->data_octets))
		return false;
	return true;
}

napi_value prf_compute(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct task task;
	struct pads pads;
	bool done;

	if (!arguments_read(env, info, 4, &arguments) || !task_read(env, &arguments, &task))
		return NULL;
	if (task.room.length < task.prf->digest_octets) {
		refuse(env, "no room for the output");
		return NULL;
	}

	struct part parts[] = { { 0 }, { task.room.data + task.key_octets, task.data_octets } };

	done = take_key(task.prf, &pads, task.room.data, task.key_octets) &&
	       compute(task.prf, &pads, parts, 2, task.room.data);
	forget(task.prf, &pads);
	if (!done)
		napi_throw_error(env, "ERR_CRYPTO", "OpenSSL refused to hash");
	return NULL;
}

napi_value prf_expand(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct task task;
	struct pads pads;
	size_t rounds;

	if (!arguments_read(env, info, 5, &arguments) || !task_read(env, &arguments, &task) ||
	    !argument_size(&arguments, 4, MAX_ROUNDS, &rounds))
		return NULL;

	size_t octets = task.prf->digest_octets, before = task.key_octets + task.data_octets;
	const uint8_t *seed = task.room.data + task.key_octets;
	uint8_t *out = task.room.data + before;

	if (rounds * octets > task.room.length - before) {
		refuse(env, "no room for the output");
		return NULL;
	}
	bool done = take_key(task.prf, &pads, task.room.data, task.key_octets);

	for (size_t round = 1; done && round <= rounds; round++, out += octets) {
		uint8_t number = (uint8_t)round;
		struct part parts[] = {
			{ 0 }, { out - octets, round > 1 ? octets : 0 }, { seed, task.data_octets }, { &number, 1 }
		};

		if (round == 1)
			parts[1].data = seed;
		done = compute(task.prf, &pads, parts, 4, out);
	}
	forget(task.prf, &pads);
	if (!done)
		napi_throw_error(env, "ERR_CRYPTO", "OpenSSL refused to hash");
	return NULL;
}
