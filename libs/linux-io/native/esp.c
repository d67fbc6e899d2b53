/* ESP on batches with OpenSSL's ciphers. */
#include "esp.h"

#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "openssl_abi.h"

#define HEADER_OCTETS 8
#define MAX_IV 16
#define MAX_SALT 4
#define MAX_ICV 64
#define NAME_ROOM 32

struct esp {
	const struct openssl *openssl;
	EVP_CIPHER_CTX *cipher;
	EVP_MAC_CTX *mac;
	uint32_t spi;
	bool esn, seals, aead;
	size_t salt_octets, iv_octets, icv_octets, alignment;
	uint8_t salt[MAX_SALT];
};

static void put_u32(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
}

static void esp_free(struct esp *esp)
{
	if (!esp)
		return;
	if (esp->cipher)
		esp->openssl->cipher_context_free(esp->cipher);
	if (esp->mac)
		esp->openssl->mac_context_free(esp->mac);
	esp->openssl->cleanse(esp, sizeof *esp);
	free(esp);
}

static void esp_finalize(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	esp_free(data);
}

static bool take_cipher(struct esp *esp, const char *name, const uint8_t *key)
{
	const struct openssl *openssl = esp->openssl;
	EVP_CIPHER *cipher = openssl->cipher_fetch(NULL, name, NULL);
	bool taken;

	if (!cipher)
		return false;
	esp->cipher = openssl->cipher_context_new();
	taken = esp->cipher && openssl->cipher_init(esp->cipher, cipher, NULL, key, NULL, esp->seals) == 1 &&
		openssl->cipher_set_padding(esp->cipher, 0) == 1;
	openssl->cipher_free(cipher);
	return taken;
}

static bool take_mac(struct esp *esp, char *digest, const uint8_t *key, size_t octets)
{
	const struct openssl *openssl = esp->openssl;
	EVP_MAC *mac = openssl->mac_fetch(NULL, "HMAC", NULL);
	bool taken;

	if (!mac)
		return false;
	esp->mac = openssl->mac_context_new(mac);
	openssl->mac_free(mac);
	if (!esp->mac)
		return false;
	struct ossl_param parameters[] = { openssl->param_text("digest", digest, 0), openssl->param_end() };

	taken = openssl->mac_init(esp->mac, key, octets, parameters) == 1;
	return taken;
}

napi_value esp_create(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes keys;
	struct words words;
	char cipher[NAME_ROOM], digest[NAME_ROOM];
	const struct openssl *openssl = openssl_functions();
	napi_value result = NULL;

	if (!arguments_read(env, info, 4, &arguments) || !argument_text(&arguments, 0, cipher, sizeof cipher) ||
	    !argument_text(&arguments, 1, digest, sizeof digest) || !argument_bytes(&arguments, 2, &keys) ||
	    !argument_words(&arguments, 3, &words))
		return NULL;
	if (words.count != ESP_PARAMETERS || words.data[ESP_SALT_OCTETS] > MAX_SALT || words.data[ESP_IV_OCTETS] > MAX_IV ||
	    words.data[ESP_ICV_OCTETS] > MAX_ICV || words.data[ESP_ICV_OCTETS] == 0 || words.data[ESP_ALIGNMENT] == 0 ||
	    (size_t)words.data[ESP_KEY_OCTETS] + words.data[ESP_SALT_OCTETS] > keys.length) {
		refuse(env, "the parameters do not describe an SA");
		return NULL;
	}
	if (!openssl)
		return NULL;

	struct esp *esp = calloc(1, sizeof *esp);
	size_t mac_at = words.data[ESP_KEY_OCTETS] + words.data[ESP_SALT_OCTETS];

	if (!esp)
		return NULL;
	esp->openssl = openssl;
	esp->spi = words.data[ESP_SPI];
	esp->esn = words.data[ESP_ESN] != 0;
	esp->seals = words.data[ESP_SEALS] != 0;
	esp->aead = words.data[ESP_AEAD] != 0;
	esp->salt_octets = words.data[ESP_SALT_OCTETS];
	esp->iv_octets = words.data[ESP_IV_OCTETS];
	esp->icv_octets = words.data[ESP_ICV_OCTETS];
	esp->alignment = words.data[ESP_ALIGNMENT];
	memcpy(esp->salt, keys.data + words.data[ESP_KEY_OCTETS], esp->salt_octets);
	if ((cipher[0] && !take_cipher(esp, cipher, keys.data)) ||
	    (!esp->aead && !take_mac(esp, digest, keys.data + mac_at, keys.length - mac_at)) ||
	    (esp->aead && !esp->cipher) ||
	    napi_create_external(env, esp, esp_finalize, NULL, &result) != napi_ok) {
		esp_free(esp);
		return NULL;
	}
	return result;
}

/* SPI ‖ sequence number, with the upper half between them under ESN (RFC 4106 §5, RFC 7634 §2.1). */
static int additional_data(const struct esp *esp, uint8_t *room, const uint8_t *packet, uint32_t high)
{
	put_u32(room, esp->spi);
	if (esp->esn)
		put_u32(room + 4, high);
	memcpy(room + (esp->esn ? 8 : 4), packet + 4, 4);
	return esp->esn ? 12 : 8;
}

static bool aead(const struct esp *esp, uint8_t *packet, size_t text_octets, uint32_t high)
{
	const struct openssl *openssl = esp->openssl;
	uint8_t nonce[MAX_SALT + MAX_IV], additional[12];
	uint8_t *text = packet + HEADER_OCTETS + esp->iv_octets, *icv = text + text_octets;
	int octets, icv_octets = (int)esp->icv_octets;

	memcpy(nonce, esp->salt, esp->salt_octets);
	memcpy(nonce + esp->salt_octets, packet + HEADER_OCTETS, esp->iv_octets);
	if (openssl->cipher_init(esp->cipher, NULL, NULL, NULL, nonce, esp->seals) != 1 ||
	    (!esp->seals && openssl->cipher_control(esp->cipher, CTRL_AEAD_SET_TAG, icv_octets, icv) != 1) ||
	    openssl->cipher_update(esp->cipher, NULL, &octets, additional,
				   additional_data(esp, additional, packet, high)) != 1 ||
	    openssl->cipher_update(esp->cipher, text, &octets, text, (int)text_octets) != 1 ||
	    openssl->cipher_final(esp->cipher, text + text_octets, &octets) != 1)
		return false;
	return !esp->seals || openssl->cipher_control(esp->cipher, CTRL_AEAD_GET_TAG, icv_octets, icv) == 1;
}

/*
 * CBC takes the IV's place in as its first block: encrypting, the sequence number there becomes E(K, sequence), an unpredictable
 * IV (NIST SP 800-38A, appendix C); decrypting, what comes out there is thrown away. CTR needs its counter block set.
 */
static bool plain(const struct esp *esp, uint8_t *packet, size_t text_octets)
{
	const struct openssl *openssl = esp->openssl;
	uint8_t *iv = packet + HEADER_OCTETS, block[MAX_IV] = { 0 };
	int octets;

	if (!esp->cipher)
		return true;
	if (esp->salt_octets > 0) {
		memcpy(block, esp->salt, esp->salt_octets);
		memcpy(block + esp->salt_octets, iv, esp->iv_octets);
		block[MAX_IV - 1] = 1; /* RFC 3686 §4 */
		return openssl->cipher_init(esp->cipher, NULL, NULL, NULL, block, esp->seals) == 1 &&
		       openssl->cipher_update(esp->cipher, iv + esp->iv_octets, &octets, iv + esp->iv_octets,
					      (int)text_octets) == 1;
	}
	return openssl->cipher_init(esp->cipher, NULL, NULL, NULL, block, esp->seals) == 1 &&
	       openssl->cipher_update(esp->cipher, iv, &octets, iv, (int)(esp->iv_octets + text_octets)) == 1;
}

/* The ICV of all that stands before it, and of the implicit upper half under ESN (RFC 4303 §2.2.1). */
static bool integrity(const struct esp *esp, const uint8_t *packet, size_t octets, uint32_t high, uint8_t *icv)
{
	const struct openssl *openssl = esp->openssl;
	uint8_t implicit[4];
	size_t made;

	put_u32(implicit, high);
	return openssl->mac_init(esp->mac, NULL, 0, NULL) == 1 && openssl->mac_update(esp->mac, packet, octets) == 1 &&
	       (!esp->esn || openssl->mac_update(esp->mac, implicit, sizeof implicit) == 1) &&
	       openssl->mac_final(esp->mac, icv, &made, MAX_ICV) == 1 && made >= esp->icv_octets;
}

static bool seal_one(const struct esp *esp, uint8_t *packet, size_t payload_octets, uint8_t next_header, uint32_t high,
		     uint32_t low)
{
	size_t front = HEADER_OCTETS + esp->iv_octets;
	size_t text_octets = (payload_octets + 2 + esp->alignment - 1) / esp->alignment * esp->alignment;
	size_t padding = text_octets - payload_octets - 2;
	uint8_t *trailer = packet + front + payload_octets, made[MAX_ICV];

	put_u32(packet, esp->spi);
	put_u32(packet + 4, low);
	memset(packet + HEADER_OCTETS, 0, esp->iv_octets);
	if (esp->iv_octets >= 8) {
		put_u32(packet + front - 8, high);
		put_u32(packet + front - 4, low);
	}
	for (size_t i = 0; i < padding; i++)
		trailer[i] = (uint8_t)(i + 1);
	trailer[padding] = (uint8_t)padding;
	trailer[padding + 1] = next_header;
	if (esp->aead)
		return aead(esp, packet, text_octets, high);
	if (!plain(esp, packet, text_octets) || !integrity(esp, packet, front + text_octets, high, made))
		return false;
	memcpy(packet + front + text_octets, made, esp->icv_octets);
	return true;
}

/* A record's outcome, with its offset and length moved to the payload when it was accepted. */
static uint32_t open_one(const struct esp *esp, uint8_t *packet, uint32_t *record)
{
	size_t front = HEADER_OCTETS + esp->iv_octets, octets = record[META_LENGTH], text_octets;
	uint8_t made[MAX_ICV];
	const uint8_t *trailer;

	if (octets < front + esp->alignment + esp->icv_octets)
		return ESP_MALFORMED;
	text_octets = octets - front - esp->icv_octets;
	if (text_octets % esp->alignment != 0)
		return ESP_MALFORMED;
	if (esp->aead) {
		if (!aead(esp, packet, text_octets, record[META_USER])) {
			/* The cipher ran before the verdict: what it made may not be seen. */
			memset(packet + front, 0, text_octets);
			return ESP_INTEGRITY;
		}
	} else {
		if (!integrity(esp, packet, front + text_octets, record[META_USER], made) ||
		    esp->openssl->compare(made, packet + front + text_octets, esp->icv_octets) != 0)
			return ESP_INTEGRITY;
		if (!plain(esp, packet, text_octets))
			return ESP_MALFORMED;
	}
	trailer = packet + front + text_octets - 2;
	if ((size_t)trailer[0] + 2 > text_octets)
		return ESP_PADDING;
	record[META_OFFSET] += (uint32_t)front;
	record[META_LENGTH] = (uint32_t)(text_octets - 2 - trailer[0]);
	return trailer[1];
}

struct task {
	struct esp *esp;
	struct bytes slab;
	struct words meta;
	size_t first, count;
};

static bool task_read(napi_env env, const struct arguments *arguments, bool seals, struct task *task)
{
	if (napi_get_value_external(env, arguments->values[0], (void **)&task->esp) != napi_ok || !task->esp ||
	    task->esp->seals != seals)
		return refuse(env, "an SA of this direction is expected");
	if (!argument_bytes(arguments, 1, &task->slab) || !argument_words(arguments, 2, &task->meta) ||
	    !argument_size(arguments, 3, UINT32_MAX, &task->first) || !argument_size(arguments, 4, UINT32_MAX, &task->count))
		return false;
	if ((task->first + task->count) * META_WORDS > task->meta.count)
		return refuse(env, "the records end before the batch does");
	return true;
}

napi_value esp_seal(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct task task;
	size_t high, low;

	if (!arguments_read(env, info, 7, &arguments) || !task_read(env, &arguments, true, &task) ||
	    !argument_size(&arguments, 5, UINT32_MAX, &high) || !argument_size(&arguments, 6, UINT32_MAX, &low))
		return NULL;

	const struct esp *esp = task.esp;
	size_t front = HEADER_OCTETS + esp->iv_octets;
	uint64_t sequence = (uint64_t)high << 32 | low;

	for (size_t index = task.first; index < task.first + task.count; index++, sequence++) {
		uint32_t *record = task.meta.data + index * META_WORDS;
		size_t offset = record[META_OFFSET], payload_octets = record[META_LENGTH];
		size_t text_octets = (payload_octets + 2 + esp->alignment - 1) / esp->alignment * esp->alignment;
		uint8_t next_header = record[META_FAMILY] == 6 ? 41 : 4;

		if (offset < front || offset + text_octets + esp->icv_octets > task.slab.length) {
			refuse(env, "a packet lacks headroom or tailroom");
			return NULL;
		}
		if (!seal_one(esp, task.slab.data + offset - front, payload_octets, next_header, (uint32_t)(sequence >> 32),
			      (uint32_t)sequence)) {
			napi_throw_error(env, "ERR_CRYPTO", "OpenSSL refused to seal a packet");
			return NULL;
		}
		record[META_OFFSET] = (uint32_t)(offset - front);
		record[META_LENGTH] = (uint32_t)(front + text_octets + esp->icv_octets);
	}
	return number(env, (int64_t)task.count);
}

napi_value esp_open(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct task task;

	if (!arguments_read(env, info, 5, &arguments) || !task_read(env, &arguments, false, &task))
		return NULL;
	for (size_t index = task.first; index < task.first + task.count; index++) {
		uint32_t *record = task.meta.data + index * META_WORDS;

		if ((size_t)record[META_OFFSET] + record[META_LENGTH] > task.slab.length) {
			refuse(env, "a record points outside the slab");
			return NULL;
		}
		record[META_USER] = open_one(task.esp, task.slab.data + record[META_OFFSET], record);
	}
	return number(env, (int64_t)task.count);
}
