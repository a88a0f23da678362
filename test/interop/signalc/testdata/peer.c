/*
 * A peer that speaks the Signal protocol by libsignal-protocol-c, for tests.
 *
 * It reads commands from standard input, one a line, bytes in hex, "-" for none:
 *
 *   bundle                      -> ok IDENTITY SIGNED-ID SIGNED-KEY SIGNATURE ID KEY
 *   bare                        -> the same without a one-time pre-key: ID 0, KEY -
 *   initiate (as bundle gives)  -> ok
 *   seal PLAINTEXT              -> ok TYPE MESSAGE      TYPE 2: message, 3: pre-key message
 *   open TYPE MESSAGE           -> ok PLAINTEXT
 *
 * or "error NUMBER" with the library's error. It has one peer, whose identity it
 * takes on trust, and keeps its session as bytes, as the library asks for.
 */
#define _GNU_SOURCE
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <signal/curve.h>
#include <signal/key_helper.h>
#include <signal/protocol.h>
#include <signal/session_builder.h>
#include <signal/session_cipher.h>
#include <signal/session_pre_key.h>
#include <signal/signal_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRE_KEYS 400
#define SIGNED_ID 1

static signal_context *context;
static signal_protocol_store_context *store;
static ratchet_identity_key_pair *identity;
static session_signed_pre_key *signed_key;
static signal_buffer *pre_keys[PRE_KEYS + 1]; /* by id; 0 is none */
static uint32_t next_pre_key = 1;
static signal_buffer *session;
static const signal_protocol_address peer = {"peer", 4, 1};

static void check(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "peer: %s: %d\n", what, result);
        exit(1);
    }
}

/* ---- cryptography, by OpenSSL ---- */

static int random_bytes(uint8_t *data, size_t len, void *user) {
    (void)user;
    return RAND_bytes(data, (int)len) == 1 ? 0 : SG_ERR_UNKNOWN;
}

/* The library hashes in pieces; the pieces are gathered and hashed at the end. */
struct pieces {
    uint8_t key[128];
    size_t key_len;
    signal_buffer *data;
};

static int pieces_begin(void **state, const uint8_t *key, size_t key_len) {
    struct pieces *p = calloc(1, sizeof *p);
    if (!p || key_len > sizeof p->key) return SG_ERR_NOMEM;
    if (key_len) memcpy(p->key, key, key_len);
    p->key_len = key_len;
    p->data = signal_buffer_alloc(0);
    *state = p;
    return 0;
}

static int pieces_add(void *state, const uint8_t *data, size_t len, void *user) {
    struct pieces *p = state;
    (void)user;
    p->data = signal_buffer_append(p->data, data, len);
    return p->data ? 0 : SG_ERR_NOMEM;
}

static void pieces_end(void *state, void *user) {
    struct pieces *p = state;
    (void)user;
    if (p) signal_buffer_free(p->data);
    free(p);
}

static int hmac_begin(void **state, const uint8_t *key, size_t len, void *user) {
    (void)user;
    return pieces_begin(state, key, len);
}

static int hmac_final(void *state, signal_buffer **output, void *user) {
    struct pieces *p = state;
    uint8_t md[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    (void)user;
    if (!HMAC(EVP_sha256(), p->key, (int)p->key_len, signal_buffer_data(p->data), signal_buffer_len(p->data), md, &n))
        return SG_ERR_UNKNOWN;
    *output = signal_buffer_create(md, n);
    return 0;
}

static int sha512_begin(void **state, void *user) {
    (void)user;
    return pieces_begin(state, NULL, 0);
}

static int sha512_final(void *state, signal_buffer **output, void *user) {
    struct pieces *p = state;
    uint8_t md[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    (void)user;
    if (!EVP_Digest(signal_buffer_data(p->data), signal_buffer_len(p->data), md, &n, EVP_sha512(), NULL))
        return SG_ERR_UNKNOWN;
    signal_buffer_free(p->data);
    p->data = signal_buffer_alloc(0); /* the library goes on with the same state */
    *output = signal_buffer_create(md, n);
    return 0;
}

static int cbc(int encrypt, signal_buffer **output, int cipher, const uint8_t *key, size_t key_len,
               const uint8_t *iv, size_t iv_len, const uint8_t *in, size_t in_len) {
    if (cipher != SG_CIPHER_AES_CBC_PKCS5 || key_len != 32 || iv_len != 16) return SG_ERR_INVAL;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t *out = malloc(in_len + 32);
    int n = 0, last = 0;
    int ok = ctx && out && EVP_CipherInit_ex(ctx, EVP_aes_256_cbc(), NULL, key, iv, encrypt) &&
             EVP_CipherUpdate(ctx, out, &n, in, (int)in_len) && EVP_CipherFinal_ex(ctx, out + n, &last);
    if (ok) *output = signal_buffer_create(out, (size_t)(n + last));
    EVP_CIPHER_CTX_free(ctx);
    free(out);
    return ok ? 0 : SG_ERR_UNKNOWN;
}

static int encrypt(signal_buffer **output, int cipher, const uint8_t *key, size_t key_len, const uint8_t *iv,
                   size_t iv_len, const uint8_t *in, size_t in_len, void *user) {
    (void)user;
    return cbc(1, output, cipher, key, key_len, iv, iv_len, in, in_len);
}

static int decrypt(signal_buffer **output, int cipher, const uint8_t *key, size_t key_len, const uint8_t *iv,
                   size_t iv_len, const uint8_t *in, size_t in_len, void *user) {
    (void)user;
    return cbc(0, output, cipher, key, key_len, iv, iv_len, in, in_len);
}

/* ---- stores ---- */

static int load_session(signal_buffer **record, signal_buffer **user_record, const signal_protocol_address *a, void *user) {
    (void)user_record, (void)a, (void)user;
    if (!session) return 0;
    *record = signal_buffer_copy(session);
    return 1;
}

static int store_session(const signal_protocol_address *a, uint8_t *record, size_t len, uint8_t *user_record,
                         size_t user_len, void *user) {
    (void)a, (void)user_record, (void)user_len, (void)user;
    if (session) signal_buffer_free(session);
    session = signal_buffer_create(record, len);
    return 0;
}

static int contains_session(const signal_protocol_address *a, void *user) {
    (void)a, (void)user;
    return session != NULL;
}

static int load_pre_key(signal_buffer **record, uint32_t id, void *user) {
    (void)user;
    if (id > PRE_KEYS || !pre_keys[id]) return SG_ERR_INVALID_KEY_ID;
    *record = signal_buffer_copy(pre_keys[id]);
    return SG_SUCCESS;
}

static int contains_pre_key(uint32_t id, void *user) {
    (void)user;
    return id <= PRE_KEYS && pre_keys[id] != NULL;
}

static int remove_pre_key(uint32_t id, void *user) {
    (void)user;
    if (id <= PRE_KEYS && pre_keys[id]) {
        signal_buffer_free(pre_keys[id]);
        pre_keys[id] = NULL;
    }
    return 0;
}

static int load_signed(signal_buffer **record, uint32_t id, void *user) {
    (void)user;
    if (id != SIGNED_ID) return SG_ERR_INVALID_KEY_ID;
    return session_signed_pre_key_serialize(record, signed_key);
}

static int contains_signed(uint32_t id, void *user) {
    (void)user;
    return id == SIGNED_ID;
}

static int get_identity(signal_buffer **public_data, signal_buffer **private_data, void *user) {
    (void)user;
    int result = ec_public_key_serialize(public_data, ratchet_identity_key_pair_get_public(identity));
    if (result < 0) return result;
    return ec_private_key_serialize(private_data, ratchet_identity_key_pair_get_private(identity));
}

static int get_registration_id(void *user, uint32_t *id) {
    (void)user;
    *id = 1;
    return 0;
}

static int save_identity(const signal_protocol_address *a, uint8_t *key, size_t len, void *user) {
    (void)a, (void)key, (void)len, (void)user;
    return 0;
}

static int is_trusted(const signal_protocol_address *a, uint8_t *key, size_t len, void *user) {
    (void)a, (void)key, (void)len, (void)user;
    return 1;
}

static void set_up(void) {
    signal_crypto_provider provider = {
        .random_func = random_bytes,
        .hmac_sha256_init_func = hmac_begin,
        .hmac_sha256_update_func = pieces_add,
        .hmac_sha256_final_func = hmac_final,
        .hmac_sha256_cleanup_func = pieces_end,
        .sha512_digest_init_func = sha512_begin,
        .sha512_digest_update_func = pieces_add,
        .sha512_digest_final_func = sha512_final,
        .sha512_digest_cleanup_func = pieces_end,
        .encrypt_func = encrypt,
        .decrypt_func = decrypt,
    };
    signal_protocol_session_store sessions = {
        .load_session_func = load_session, .store_session_func = store_session, .contains_session_func = contains_session};
    signal_protocol_pre_key_store pre = {
        .load_pre_key = load_pre_key, .contains_pre_key = contains_pre_key, .remove_pre_key = remove_pre_key};
    signal_protocol_signed_pre_key_store signed_store = {
        .load_signed_pre_key = load_signed, .contains_signed_pre_key = contains_signed};
    signal_protocol_identity_key_store identities = {
        .get_identity_key_pair = get_identity, .get_local_registration_id = get_registration_id,
        .save_identity = save_identity, .is_trusted_identity = is_trusted};

    check(signal_context_create(&context, NULL), "context");
    check(signal_context_set_crypto_provider(context, &provider), "crypto provider");
    check(signal_protocol_store_context_create(&store, context), "store");
    signal_protocol_store_context_set_session_store(store, &sessions);
    signal_protocol_store_context_set_pre_key_store(store, &pre);
    signal_protocol_store_context_set_signed_pre_key_store(store, &signed_store);
    signal_protocol_store_context_set_identity_key_store(store, &identities);

    check(signal_protocol_key_helper_generate_identity_key_pair(&identity, context), "identity");
    check(signal_protocol_key_helper_generate_signed_pre_key(&signed_key, identity, SIGNED_ID, 0, context), "signed pre-key");
    signal_protocol_key_helper_pre_key_list_node *list = NULL;
    check(signal_protocol_key_helper_generate_pre_keys(&list, 1, PRE_KEYS, context), "pre-keys");
    for (signal_protocol_key_helper_pre_key_list_node *n = list; n; n = signal_protocol_key_helper_key_list_next(n)) {
        session_pre_key *key = signal_protocol_key_helper_key_list_element(n);
        check(session_pre_key_serialize(&pre_keys[session_pre_key_get_id(key)], key), "pre-key");
    }
    signal_protocol_key_helper_key_list_free(list);
}

/* ---- commands ---- */

static void print_hex(const uint8_t *data, size_t len) {
    putchar(' ');
    if (!len) putchar('-');
    for (size_t i = 0; i < len; i++) printf("%02x", data[i]);
}

static void print_buffer(signal_buffer *b) {
    print_hex(signal_buffer_data(b), signal_buffer_len(b));
    signal_buffer_free(b);
}

static void print_key(const ec_public_key *key) {
    signal_buffer *b = NULL;
    check(ec_public_key_serialize(&b, key), "public key");
    print_buffer(b);
}

static signal_buffer *hex(const char *s) {
    size_t len = !s || strcmp(s, "-") == 0 ? 0 : strlen(s) / 2;
    signal_buffer *b = signal_buffer_alloc(len);
    for (size_t i = 0; i < len; i++) {
        unsigned int v = 0;
        sscanf(s + 2 * i, "%2x", &v);
        signal_buffer_data(b)[i] = (uint8_t)v;
    }
    return b;
}

static int bundle(int with_one_time) {
    printf("ok");
    print_key(ratchet_identity_key_pair_get_public(identity));
    printf(" %u", SIGNED_ID);
    print_key(ec_key_pair_get_public(session_signed_pre_key_get_key_pair(signed_key)));
    print_hex(session_signed_pre_key_get_signature(signed_key), session_signed_pre_key_get_signature_len(signed_key));
    if (!with_one_time) {
        printf(" 0 -\n");
        return 0;
    }
    if (next_pre_key > PRE_KEYS) exit(1);
    session_pre_key *key = NULL;
    signal_buffer *b = pre_keys[next_pre_key];
    check(session_pre_key_deserialize(&key, signal_buffer_data(b), signal_buffer_len(b), context), "pre-key");
    printf(" %u", next_pre_key++);
    print_key(ec_key_pair_get_public(session_pre_key_get_key_pair(key)));
    SIGNAL_UNREF(key);
    putchar('\n');
    return 0;
}

static ec_public_key *parse_key(const char *s) {
    ec_public_key *key = NULL;
    signal_buffer *b = hex(s);
    if (signal_buffer_len(b))
        check(curve_decode_point(&key, signal_buffer_data(b), signal_buffer_len(b), context), "decoding key");
    signal_buffer_free(b);
    return key;
}

static int initiate(char *save) {
    ec_public_key *their_identity = parse_key(strtok_r(NULL, " ", &save));
    uint32_t signed_id = (uint32_t)strtoul(strtok_r(NULL, " ", &save), NULL, 10);
    ec_public_key *their_signed = parse_key(strtok_r(NULL, " ", &save));
    signal_buffer *signature = hex(strtok_r(NULL, " ", &save));
    uint32_t id = (uint32_t)strtoul(strtok_r(NULL, " ", &save), NULL, 10);
    ec_public_key *one_time = parse_key(strtok_r(NULL, " ", &save));

    session_pre_key_bundle *b = NULL;
    session_builder *builder = NULL;
    int result = session_pre_key_bundle_create(&b, 1, 1, id, one_time, signed_id, their_signed,
                                               signal_buffer_data(signature), signal_buffer_len(signature), their_identity);
    if (result >= 0) result = session_builder_create(&builder, store, &peer, context);
    if (result >= 0) result = session_builder_process_pre_key_bundle(builder, b);
    if (result >= 0) printf("ok\n");
    session_builder_free(builder);
    SIGNAL_UNREF(b);
    signal_buffer_free(signature);
    SIGNAL_UNREF(their_identity);
    SIGNAL_UNREF(their_signed);
    SIGNAL_UNREF(one_time);
    return result;
}

static int seal(const char *plaintext) {
    session_cipher *cipher = NULL;
    ciphertext_message *message = NULL;
    signal_buffer *text = hex(plaintext);
    int result = session_cipher_create(&cipher, store, &peer, context);
    if (result >= 0)
        result = session_cipher_encrypt(cipher, signal_buffer_data(text), signal_buffer_len(text), &message);
    if (result >= 0) {
        signal_buffer *b = ciphertext_message_get_serialized(message);
        printf("ok %d", ciphertext_message_get_type(message));
        print_hex(signal_buffer_data(b), signal_buffer_len(b));
        putchar('\n');
    }
    SIGNAL_UNREF(message);
    signal_buffer_free(text);
    session_cipher_free(cipher);
    return result;
}

static int open_message(int type, const char *data) {
    session_cipher *cipher = NULL;
    signal_buffer *raw = hex(data), *plaintext = NULL;
    int result = session_cipher_create(&cipher, store, &peer, context);
    if (result >= 0 && type == CIPHERTEXT_PREKEY_TYPE) {
        pre_key_signal_message *m = NULL;
        result = pre_key_signal_message_deserialize(&m, signal_buffer_data(raw), signal_buffer_len(raw), context);
        if (result >= 0) result = session_cipher_decrypt_pre_key_signal_message(cipher, m, NULL, &plaintext);
        SIGNAL_UNREF(m);
    } else if (result >= 0) {
        signal_message *m = NULL;
        result = signal_message_deserialize(&m, signal_buffer_data(raw), signal_buffer_len(raw), context);
        if (result >= 0) result = session_cipher_decrypt_signal_message(cipher, m, NULL, &plaintext);
        SIGNAL_UNREF(m);
    }
    if (result >= 0) {
        printf("ok");
        print_buffer(plaintext);
        putchar('\n');
    }
    signal_buffer_free(raw);
    session_cipher_free(cipher);
    return result;
}

int main(void) {
    char *line = NULL;
    size_t size = 0;
    set_up();
    while (getline(&line, &size, stdin) > 0) {
        char *save = NULL;
        int result = SG_ERR_INVAL;
        line[strcspn(line, "\n")] = 0;
        const char *command = strtok_r(line, " ", &save);
        if (!command) continue;
        if (!strcmp(command, "bundle")) result = bundle(1);
        else if (!strcmp(command, "bare")) result = bundle(0);
        else if (!strcmp(command, "initiate")) result = initiate(save);
        else if (!strcmp(command, "seal")) result = seal(strtok_r(NULL, " ", &save));
        else if (!strcmp(command, "open")) {
            const char *type = strtok_r(NULL, " ", &save);
            result = open_message(type ? atoi(type) : 0, strtok_r(NULL, " ", &save));
        }
        if (result < 0) printf("error %d\n", result);
        fflush(stdout);
    }
    free(line);
    return 0;
}
