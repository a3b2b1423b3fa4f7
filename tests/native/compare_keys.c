/*
 * compare_keys.c: keys.h against all orders of small random histories of registers.
 *
 * Usage: compare_keys CASES SEED
 * Each case has some keys; each key is judged by what keys.h picks and by the search alone, with
 * one thread and with three. Prints one line, "cases C keys K invalid I zones Z chains H searched S
 * witnesses W mismatches M": zones to searched count the engines that decided, and witnesses those
 * that were found to contradict each other on their own. The first mismatch goes to stderr.
 * Exit status: 0 no mismatch, 1 some, 2 wrong usage. Needs no privileges.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"

#define KEYS_MAX 3
#define OPERATIONS_MAX 20 /* of all keys */
#define OF_KEY_MAX 9
#define PLAIN_VALUES 12 /* ids 0 .. 11; pairs of them come after */
#define VALUES (PLAIN_VALUES + PLAIN_VALUES * PLAIN_VALUES)

enum { READ, WRITE, CAS };

struct history {
    int32_t n, n_keys, n_events, initial;
    int8_t type[OPERATIONS_MAX];
    int32_t process[OPERATIONS_MAX];
    uint16_t f[OPERATIONS_MAX];
    int32_t key[OPERATIONS_MAX], value_in[OPERATIONS_MAX], value_out[OPERATIONS_MAX];
    int32_t a[OPERATIONS_MAX], b[OPERATIONS_MAX], inv[OPERATIONS_MAX], ret[OPERATIONS_MAX];
    int64_t inv_time[OPERATIONS_MAX], ret_time[OPERATIONS_MAX];
};

struct outcome {
    int8_t verdict[KEYS_MAX], engine[KEYS_MAX], evidence[KEYS_MAX], reason[KEYS_MAX];
    int32_t n_operations[KEYS_MAX], n_witness[KEYS_MAX], witness[KEYS_MAX * KEYS_WITNESS_MAX];
    uint64_t configurations[KEYS_MAX], peak_bytes[KEYS_MAX];
    int32_t order_start[KEYS_MAX], order_length[KEYS_MAX], order[OPERATIONS_MAX];
};

/* splitmix64 */
static uint64_t random_next(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static int32_t random_below(uint64_t *seed, int32_t n)
{
    return (int32_t)(random_next(seed) % (uint64_t)n);
}

/* A value to produce: a fresh one in histories of unique values, else any. */
static int32_t random_value(uint64_t *seed, bool is_unique, int32_t *fresh)
{
    if (is_unique && random_below(seed, 50) != 0)
        return ++*fresh < PLAIN_VALUES ? *fresh : 1 + random_below(seed, PLAIN_VALUES - 1);
    return random_below(seed, is_unique ? PLAIN_VALUES : 4);
}

/* What an operation asks, likely to fit what its key holds. */
static void ask(struct history *h, int32_t i, int32_t held, bool is_unique, bool has_cas,
                int32_t *fresh, uint64_t *seed)
{
    h->f[i] = (uint16_t)random_below(seed, has_cas ? 3 : 2);
    if (random_below(seed, 3) == 0)
        h->f[i] = READ;
    h->value_in[i] = 0;
    h->b[i] = -1;
    if (h->f[i] == WRITE)
        h->value_in[i] = random_value(seed, is_unique, fresh);
    h->a[i] = h->value_in[i];
    if (h->f[i] == CAS) {
        h->a[i] = random_below(seed, 4) ? held : random_below(seed, PLAIN_VALUES);
        h->b[i] = random_value(seed, is_unique, fresh);
        h->value_in[i] = PLAIN_VALUES + PLAIN_VALUES * h->a[i] + h->b[i];
    }
}

/* Complete an operation: most take effect now, and reads return what is held, or noise. */
static void answer(struct history *h, int32_t i, int32_t *held, uint64_t *seed, int32_t crash)
{
    int32_t drawn = random_below(seed, 100);
    h->value_out[i] = -1;
    h->ret[i] = -1;
    if (h->f[i] == CAS && h->a[i] != *held && random_below(seed, 8) != 0)
        drawn = crash + random_below(seed, 5); /* a system that works refuses it */
    bool has_effect = drawn >= crash + 5 || random_below(seed, 2) == 0;
    h->type[i] = drawn < crash ? COLUMNS_INFO : drawn < crash + 5 ? COLUMNS_FAIL : COLUMNS_OK;
    if (h->type[i] == COLUMNS_OK)
        h->value_out[i] = h->f[i] == READ && random_below(seed, 12) ? *held
                          : h->f[i] == READ ? random_below(seed, PLAIN_VALUES) : h->value_in[i];
    if (h->type[i] != COLUMNS_FAIL && has_effect && h->f[i] != READ)
        *held = h->f[i] == CAS ? h->b[i] : h->value_in[i];
}

static void random_history(struct history *h, uint64_t *seed)
{
    int32_t held[KEYS_MAX], fresh[KEYS_MAX] = {0}, of_key[KEYS_MAX] = {0};
    int32_t open[OPERATIONS_MAX], n_open = 0, crash = 10 * random_below(seed, 4);
    int32_t tie = random_below(seed, 3) == 0 ? 40 : 0;
    int64_t time = 0;
    bool is_unique = random_below(seed, 3) != 0, has_cas = random_below(seed, 3) != 0;
    memset(h, 0, sizeof *h);
    h->n_keys = 1 + random_below(seed, KEYS_MAX);
    h->initial = random_below(seed, 5) == 0 ? -1 : 0;
    for (int32_t k = 0; k < KEYS_MAX; k++)
        held[k] = 0;
    int32_t wanted = random_below(seed, OPERATIONS_MAX + 1);
    while (h->n < wanted || n_open > 0) {
        time += random_below(seed, 100) >= tie;
        int32_t key = random_below(seed, h->n_keys);
        if (h->n < wanted && (n_open == 0 || (n_open < 5 && random_below(seed, 2)))) {
            int32_t i = h->n++;
            if (of_key[key] == OF_KEY_MAX)
                key = of_key[0] <= of_key[h->n_keys - 1] ? 0 : h->n_keys - 1;
            if (of_key[key]++ >= OF_KEY_MAX)
                wanted = h->n;
            h->key[i] = key;
            ask(h, i, held[key], is_unique, has_cas, &fresh[key], seed);
            h->inv[i] = h->n_events++;
            h->process[i] = i;
            h->inv_time[i] = time;
            open[n_open++] = i;
            continue;
        }
        int32_t place = random_below(seed, n_open), i = open[place];
        open[place] = open[--n_open];
        answer(h, i, &held[h->key[i]], seed, crash);
        if (h->type[i] == COLUMNS_INFO)
            continue;
        h->ret[i] = h->n_events++;
        h->ret_time[i] = time;
    }
}

static bool is_kept(const struct history *h, int32_t i)
{
    return h->type[i] == COLUMNS_OK || (h->type[i] == COLUMNS_INFO && h->f[i] != READ);
}

static bool is_before(const struct history *h, int32_t i, int32_t j)
{
    return h->type[i] == COLUMNS_OK && h->ret[i] < h->inv[j] && h->ret_time[i] < h->inv_time[j];
}

/* The value after operation i, or -2 where it does not fit. */
static int32_t step(const struct history *h, int32_t held, int32_t i)
{
    if (h->f[i] == READ)
        return h->value_out[i] == held ? held : -2;
    if (h->f[i] == CAS)
        return h->a[i] == held ? h->b[i] : -2;
    return h->value_in[i];
}

/* Whether those of `left` (a set of operations) can come in some order: all are tried. */
static bool brute_force(const struct history *h, uint32_t left, int32_t held)
{
    bool is_over = true;
    for (int32_t i = 0; i < h->n; i++)
        is_over = is_over && !(left >> i & 1 && h->type[i] == COLUMNS_OK);
    if (is_over)
        return true;
    for (int32_t i = 0; i < h->n; i++) {
        int32_t after = left >> i & 1 ? step(h, held, i) : -2;
        bool is_first = after != -2;
        for (int32_t j = 0; is_first && j < h->n; j++)
            is_first = !(left >> j & 1 && is_before(h, j, i));
        if (is_first && brute_force(h, left & ~(UINT32_C(1) << i), after))
            return true;
    }
    return false;
}

static bool is_linearization(const struct history *h, int32_t key, const int32_t *order,
                             int32_t length)
{
    int32_t held = h->initial;
    uint32_t left = 0;
    for (int32_t i = 0; i < h->n; i++)
        if (h->key[i] == key && is_kept(h, i))
            left |= UINT32_C(1) << i;
    for (int32_t place = 0; place < length; place++) {
        int32_t i = order[place];
        if (i < 0 || i >= h->n || !(left >> i & 1) || (held = step(h, held, i)) == -2)
            return false;
        for (int32_t j = 0; j < h->n; j++)
            if (left >> j & 1 && is_before(h, j, i))
                return false;
        left &= ~(UINT32_C(1) << i);
    }
    for (int32_t i = 0; i < h->n; i++)
        if (left >> i & 1 && h->type[i] == COLUMNS_OK)
            return false;
    return true;
}

static void judge(const struct history *h, struct outcome *out, int32_t n_threads,
                  bool search_only)
{
    struct columns columns = {h->n, h->type, h->process, h->f, h->key, h->value_in, h->value_out,
                              h->a, h->b, h->inv, h->ret, h->inv_time, h->ret_time};
    struct keys_options options = {
        .n_keys = h->n_keys, .n_values = VALUES, .read = READ, .write = WRITE, .cas = CAS,
        .initial = h->initial, .max_configurations = 1 << 24, .max_bytes = 1 << 28,
        .n_threads = n_threads, .search_only = search_only};
    memset(out, 0, sizeof *out);
    struct keys_results results = {
        out->verdict, out->engine, out->evidence, out->reason, out->n_operations,
        out->configurations, out->peak_bytes, out->n_witness, out->witness, out->order_start,
        out->order_length, out->order};
    int32_t error, at;
    struct keys *keys = keys_open(&columns, &options, &results, &error, &at);
    if (keys == NULL)
        return;
    while (!keys_run(keys, 1000))
        ;
    keys_close(keys);
}

/* Whether the operations of a witness contradict each other with nothing else around them. */
static bool is_contradiction(const struct history *h, const struct outcome *out, int32_t key)
{
    uint32_t some = 0;
    for (int32_t i = 0; i < out->n_witness[key]; i++)
        some |= UINT32_C(1) << out->witness[KEYS_WITNESS_MAX * key + i];
    return some != 0 && !brute_force(h, some, h->initial);
}

/* Whether the operations of a witness each need another of them to come first. */
static bool is_circle(const struct history *h, const struct outcome *out, int32_t key)
{
    const int32_t *witness = out->witness + KEYS_WITNESS_MAX * key;
    for (int32_t i = 0; i < out->n_witness[key]; i++) {
        bool is_needed = out->n_witness[key] == KEYS_WITNESS_MAX; /* the rest may be cut off */
        for (int32_t j = 0; j < out->n_witness[key]; j++)
            is_needed = is_needed || h->b[witness[j]] == h->a[witness[i]];
        if (h->f[witness[i]] != CAS || !is_needed)
            return false;
    }
    return out->n_witness[key] > 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: compare_keys CASES SEED\n");
        return 2;
    }
    long cases = strtol(argv[1], NULL, 10), n_keys = 0, invalid = 0, mismatches = 0, witnesses = 0;
    long engines[6] = {0};
    uint64_t seed = strtoull(argv[2], NULL, 10);
    for (long c = 0; c < cases; c++) {
        struct history h;
        struct outcome out, searched, threaded;
        random_history(&h, &seed);
        judge(&h, &out, 1, false);
        judge(&h, &searched, 1, true);
        bool is_right = true;
        if (c % 16 == 0) {
            judge(&h, &threaded, 3, false);
            is_right = memcmp(&out, &threaded, sizeof out) == 0;
        }
        for (int32_t key = 0; key < h.n_keys; key++) {
            uint32_t all = 0;
            for (int32_t i = 0; i < h.n; i++)
                all |= h.key[i] == key && is_kept(&h, i) ? UINT32_C(1) << i : 0;
            bool expected = brute_force(&h, all, h.initial);
            int8_t verdict = expected ? KEYS_VALID : KEYS_INVALID;
            is_right = is_right && out.verdict[key] == verdict && searched.verdict[key] == verdict;
            if (expected)
                is_right = is_right && is_linearization(&h, key, out.order + out.order_start[key],
                                                        out.order_length[key]);
            bool is_zones = !expected && out.engine[key] == KEYS_ZONES;
            bool contradicts = !expected && is_contradiction(&h, &out, key);
            is_right = is_right && (expected || out.n_witness[key] > 0) &&
                       (!is_zones || contradicts) &&
                       (out.reason[key] != KEYS_ROOTLESS || is_circle(&h, &out, key));
            witnesses += contradicts;
            n_keys += all != 0;
            invalid += !expected;
            engines[out.engine[key]]++;
        }
        if (!is_right && mismatches++ == 0) {
            for (int32_t i = 0; i < h.n; i++)
                fprintf(stderr, "%d: type %d f %d key %d a %d b %d out %d  %d..%d  @%d..%d\n",
                        (int)i, h.type[i], h.f[i], (int)h.key[i], (int)h.a[i], (int)h.b[i],
                        (int)h.value_out[i], (int)h.inv[i], (int)h.ret[i], (int)h.inv_time[i],
                        (int)h.ret_time[i]);
            for (int32_t key = 0; key < h.n_keys; key++)
                fprintf(stderr, "key %d: verdict %d (search %d) engine %d reason %d\n", (int)key,
                        out.verdict[key], searched.verdict[key], out.engine[key], out.reason[key]);
        }
    }
    printf("cases %ld keys %ld invalid %ld zones %ld chains %ld searched %ld witnesses %ld "
           "mismatches %ld\n", cases, n_keys, invalid, engines[KEYS_ZONES], engines[KEYS_CHAINS],
           engines[KEYS_DEPTH] + engines[KEYS_BREADTH], witnesses, mismatches);
    return mismatches != 0;
}
