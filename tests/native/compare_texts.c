/*
 * compare_texts.c: texts.h against all orders of small random histories, and the search of large ones.
 *
 * Usage: compare_texts CASES SEED OPERATIONS
 * Each case has up to three keys. With at most 8 operations a key is judged by all orders; a longer
 * one by the search alone, which knows nothing of what texts prove. A witness must contradict itself
 * with all other operations free: of gets nothing is asked, puts and appends may happen whenever or
 * never, except those that add the same as one of the witness. Prints one line, "cases C keys K
 * invalid I texts T searched S repeated R witnesses W mismatches M": texts and searched count the
 * engines that decided, repeated the keys of texts that add something twice. The first mismatch goes
 * to stderr. Exit status: 0 no mismatch, 1 some, 2 wrong usage. Needs no privileges.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"

#define KEYS_MAX 3
#define SMALL 8
#define OPERATIONS_MAX 600 /* of all keys */
#define TEXT_MAX 2048
#define VALUES_MAX (3 * OPERATIONS_MAX)
#define BYTES_MAX (1 << 20)

enum { GET, PUT, APPEND };
enum manner { UNIQUE, FEW_TWICE, MANY_TWICE, AMBIGUOUS, MANNERS };

struct history {
    int32_t n, n_keys, n_events, n_values;
    size_t n_bytes;
    int8_t type[OPERATIONS_MAX];
    int32_t process[OPERATIONS_MAX];
    uint16_t f[OPERATIONS_MAX];
    int32_t key[OPERATIONS_MAX], value_in[OPERATIONS_MAX], value_out[OPERATIONS_MAX];
    int32_t a[OPERATIONS_MAX], b[OPERATIONS_MAX], inv[OPERATIONS_MAX], ret[OPERATIONS_MAX];
    int64_t inv_time[OPERATIONS_MAX], ret_time[OPERATIONS_MAX];
    uint8_t tags[VALUES_MAX];
    int64_t words[VALUES_MAX];
    uint8_t bytes[BYTES_MAX];
    char initial[4];
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

/* The text of a value, which ends with a 0. */
static const char *text_of(const struct history *h, int32_t value)
{
    return (const char *)h->bytes + h->words[value] + sizeof(uint32_t);
}

/* The id of a text; values 0 and 1 are nil and true. */
static int32_t intern(struct history *h, const char *text)
{
    for (int32_t v = 2; v < h->n_values; v++)
        if (strcmp(text_of(h, v), text) == 0)
            return v;
    uint32_t length = (uint32_t)strlen(text);
    h->tags[h->n_values] = LOAD_TEXT;
    h->words[h->n_values] = (int64_t)h->n_bytes;
    memcpy(h->bytes + h->n_bytes, &length, sizeof length);
    memcpy(h->bytes + h->n_bytes + sizeof length, text, length + 1);
    h->n_bytes += sizeof length + length + 1;
    return h->n_values++;
}

static void draw_text(char *text, enum manner manner, int32_t *fresh, uint64_t *seed)
{
    static const char *const SOME[] = {"", "a", "aa", "ab", "b"};
    bool is_again = *fresh > 0 && random_below(seed, manner == FEW_TWICE ? 12 : 3) == 0;
    if (manner == AMBIGUOUS)
        strcpy(text, SOME[random_below(seed, 20) == 0 ? 0 : 1 + random_below(seed, 4)]);
    else if (manner != UNIQUE && is_again)
        snprintf(text, 16, "%d,", (int)(1 + random_below(seed, *fresh)));
    else
        snprintf(text, 16, "%d,", (int)++*fresh);
}

/* Let an operation that is not a get take effect. */
static void hold(char *held, const struct history *h, int32_t i)
{
    if (h->f[i] == PUT)
        held[0] = 0;
    if (strlen(held) + strlen(text_of(h, h->value_in[i])) < TEXT_MAX)
        strcat(held, text_of(h, h->value_in[i]));
}

/* What a get returns that goes wrong: what was returned before, or what is held in disorder. */
static int32_t corrupt(struct history *h, const char *held, uint64_t *seed)
{
    char text[TEXT_MAX + 16];
    strcpy(text, held);
    size_t length = strlen(text);
    int32_t drawn = random_below(seed, 12);
    if (drawn == 0)
        return random_below(seed, 2);
    if (drawn < 3 && length > 1)
        text[length - 1 - (size_t)random_below(seed, (int32_t)length)] = 0;
    else if (drawn < 5)
        strcat(text, drawn == 3 ? "1," : "a");
    else if (h->n_values > 2)
        return 2 + random_below(seed, h->n_values - 2);
    return intern(h, text);
}

static void complete(struct history *h, int32_t i, char *held, int32_t crash, int32_t wrong,
                     uint64_t *seed)
{
    int32_t drawn = random_below(seed, 100);
    bool has_effect = drawn >= crash + 4 || random_below(seed, 2) == 0;
    h->type[i] = drawn < crash ? COLUMNS_INFO : drawn < crash + 4 ? COLUMNS_FAIL : COLUMNS_OK;
    if (h->f[i] == GET && h->type[i] == COLUMNS_OK)
        h->value_out[i] = random_below(seed, 1000) < wrong ? corrupt(h, held, seed)
                                                           : intern(h, held);
    else if (h->type[i] == COLUMNS_OK)
        h->value_out[i] = h->value_in[i];
    if (h->f[i] != GET && h->type[i] != COLUMNS_FAIL && has_effect)
        hold(held, h, i);
}

static void random_history(struct history *h, int32_t operations, uint64_t *seed)
{
    static char held[KEYS_MAX][TEXT_MAX];
    int32_t fresh[KEYS_MAX] = {0}, of_key[KEYS_MAX] = {0}, open[16], n_open = 0;
    int32_t crash = random_below(seed, 2) ? 0 : operations > 50 ? 2 : 10 + random_below(seed, 20);
    int32_t wrong = operations > 50 ? 3 : 80, puts = 2 + random_below(seed, 30);
    int32_t tie = random_below(seed, 3) == 0 ? 40 : 0, width = 2 + random_below(seed, 5);
    enum manner manner = (enum manner)random_below(seed, MANNERS);
    int64_t time = 0;
    memset(h, 0, offsetof(struct history, bytes));
    h->n_values = 2;
    h->tags[1] = LOAD_TRUE;
    strcpy(h->initial, random_below(seed, 4) ? "" : random_below(seed, 2) ? "1," : "a");
    h->n_keys = 1 + random_below(seed, KEYS_MAX);
    for (int32_t k = 0; k < KEYS_MAX; k++)
        strcpy(held[k], h->initial);
    int32_t wanted = 1 + random_below(seed, operations * h->n_keys);
    int32_t again = 1 + random_below(seed, operations * h->n_keys);
    wanted = again > wanted ? again : wanted; /* short ones show little */
    while (h->n < wanted || n_open > 0) {
        time += random_below(seed, 100) >= tie;
        if (h->n < wanted && (n_open == 0 || (n_open < width && random_below(seed, 2)))) {
            int32_t i = h->n++, key = random_below(seed, h->n_keys);
            while (of_key[key] == operations)
                key = (key + 1) % h->n_keys;
            of_key[key]++;
            char text[16];
            int32_t drawn = random_below(seed, 100);
            h->key[i] = key;
            h->f[i] = drawn < 45 ? GET : drawn < 45 + puts ? PUT : APPEND;
            draw_text(text, manner, &fresh[key], seed);
            h->value_in[i] = h->f[i] == GET ? 0 : intern(h, text);
            h->value_out[i] = h->ret[i] = h->b[i] = -1;
            h->inv[i] = h->n_events++;
            h->process[i] = i;
            h->inv_time[i] = time;
            open[n_open++] = i;
            continue;
        }
        int32_t place = random_below(seed, n_open), i = open[place];
        open[place] = open[--n_open];
        complete(h, i, held[h->key[i]], crash, wrong, seed);
        if (h->type[i] == COLUMNS_INFO)
            continue;
        h->ret[i] = h->n_events++;
        h->ret_time[i] = time;
    }
}

static bool is_kept(const struct history *h, int32_t i)
{
    return h->type[i] == COLUMNS_OK || (h->type[i] == COLUMNS_INFO && h->f[i] != GET);
}

static bool is_before(const struct history *h, int32_t i, int32_t j)
{
    return h->type[i] == COLUMNS_OK && h->ret[i] < h->inv[j] && h->ret_time[i] < h->inv_time[j];
}

static bool is_told(const struct history *h, int32_t i, const char *held)
{
    return h->tags[h->value_out[i]] == LOAD_TEXT && strcmp(text_of(h, h->value_out[i]), held) == 0;
}

/* Those of one key; is_free: it may happen whenever, or never. */
struct some {
    int32_t n;
    int32_t operations[OPERATIONS_MAX];
    bool is_free[OPERATIONS_MAX];
};

/* Whether those of `left` can come in some order: all are tried. */
static bool brute_force(const struct history *h, const struct some *some, uint64_t left,
                        const char *held)
{
    bool is_over = true;
    for (int32_t at = 0; at < some->n; at++)
        is_over = is_over && !(left >> at & 1 && !some->is_free[at] &&
                               h->type[some->operations[at]] == COLUMNS_OK);
    if (is_over)
        return true;
    for (int32_t at = 0; at < some->n; at++) {
        int32_t i = some->operations[at];
        bool is_first = left >> at & 1 && (h->f[i] != GET || is_told(h, i, held));
        for (int32_t other = 0; is_first && !some->is_free[at] && other < some->n; other++)
            is_first = !(left >> other & 1 && !some->is_free[other] &&
                         is_before(h, some->operations[other], i));
        if (!is_first)
            continue;
        char after[TEXT_MAX];
        strcpy(after, held);
        if (h->f[i] != GET)
            hold(after, h, i);
        if (brute_force(h, some, left & ~(UINT64_C(1) << at), after))
            return true;
    }
    return false;
}

static void gather(const struct history *h, int32_t key, struct some *some)
{
    some->n = 0;
    for (int32_t i = 0; i < h->n; i++) {
        if (h->key[i] != key || !is_kept(h, i))
            continue;
        some->is_free[some->n] = false;
        some->operations[some->n++] = i;
    }
}

static bool is_possible(const struct history *h, const struct some *some)
{
    return brute_force(h, some, (UINT64_C(1) << some->n) - 1, h->initial);
}

/* Whether the witness contradicts itself with all others free. */
static bool is_contradiction(const struct history *h, const struct outcome *out, int32_t key)
{
    struct some all, some = {0};
    gather(h, key, &all);
    for (int32_t at = 0; at < all.n; at++) {
        int32_t i = all.operations[at];
        bool is_named = false;
        for (int32_t w = 0; w < out->n_witness[key]; w++) {
            int32_t named = out->witness[KEYS_WITNESS_MAX * key + w];
            bool is_same = h->f[named] != GET && h->f[i] != GET &&
                           h->value_in[named] == h->value_in[i];
            is_named = is_named || named == i || is_same;
        }
        if (!is_named && h->f[i] == GET)
            continue;
        some.is_free[some.n] = !is_named;
        some.operations[some.n++] = i;
    }
    return !is_possible(h, &some);
}

static bool is_linearization(const struct history *h, int32_t key, const int32_t *order,
                             int32_t length)
{
    bool is_left[OPERATIONS_MAX];
    char held[TEXT_MAX];
    strcpy(held, h->initial);
    for (int32_t i = 0; i < h->n; i++)
        is_left[i] = h->key[i] == key && is_kept(h, i);
    for (int32_t place = 0; place < length; place++) {
        int32_t i = order[place];
        if (i < 0 || i >= h->n || !is_left[i] || (h->f[i] == GET && !is_told(h, i, held)))
            return false;
        if (h->f[i] != GET)
            hold(held, h, i);
        for (int32_t j = 0; j < h->n; j++)
            if (is_left[j] && is_before(h, j, i))
                return false;
        is_left[i] = false;
    }
    for (int32_t i = 0; i < h->n; i++)
        if (is_left[i] && h->type[i] == COLUMNS_OK)
            return false;
    return true;
}

static bool judge(const struct history *h, struct outcome *out, int32_t n_threads,
                  bool search_only)
{
    struct columns columns = {h->n, h->type, h->process, h->f, h->key, h->value_in, h->value_out,
                              h->a, h->b, h->inv, h->ret, h->inv_time, h->ret_time};
    struct load_values values = {h->n_values, h->tags, h->words, h->bytes, h->n_bytes};
    struct keys_options options = {
        .n_keys = h->n_keys, .n_values = h->n_values, .read = GET, .write = PUT, .cas = -1,
        .initial = -1, .max_configurations = 1 << 22, .max_bytes = 1 << 28,
        .n_threads = n_threads, .search_only = search_only, .texts = &values,
        .append = APPEND, .initial_text = (const uint8_t *)h->initial,
        .initial_bytes = (int64_t)strlen(h->initial)};
    memset(out, 0, sizeof *out);
    struct keys_results results = {
        out->verdict, out->engine, out->evidence, out->reason, out->n_operations,
        out->configurations, out->peak_bytes, out->n_witness, out->witness, out->order_start,
        out->order_length, out->order};
    int32_t error, at;
    struct keys *keys = keys_open(&columns, &options, &results, &error, &at);
    if (keys == NULL)
        return false;
    while (!keys_run(keys, 1000))
        ;
    keys_close(keys);
    return true;
}

static bool has_repeats(const struct history *h, int32_t key)
{
    for (int32_t i = 0; i < h->n; i++)
        for (int32_t j = 0; j < i; j++)
            if (h->key[i] == key && h->key[j] == key && h->f[i] != GET && h->f[j] != GET &&
                h->value_in[i] == h->value_in[j])
                return true;
    return false;
}

static void show(const struct history *h, const struct outcome *out,
                 const struct outcome *searched)
{
    fprintf(stderr, "initial \"%s\"\n", h->initial);
    for (int32_t i = 0; i < h->n; i++) {
        const char *text = h->f[i] != GET ? text_of(h, h->value_in[i])
                           : h->value_out[i] < 2 ? "-" : text_of(h, h->value_out[i]);
        fprintf(stderr, "%d: type %d f %d key %d \"%s\"  %d..%d  @%d..%d\n", (int)i, h->type[i],
                h->f[i], (int)h->key[i], text, (int)h->inv[i], (int)h->ret[i],
                (int)h->inv_time[i], (int)h->ret_time[i]);
    }
    for (int32_t key = 0; key < h->n_keys; key++) {
        fprintf(stderr, "key %d: verdict %d (search %d) engine %d reason %d witness", (int)key,
                out->verdict[key], searched->verdict[key], out->engine[key], out->reason[key]);
        for (int32_t w = 0; w < out->n_witness[key]; w++)
            fprintf(stderr, " %d", (int)out->witness[KEYS_WITNESS_MAX * key + w]);
        fprintf(stderr, "\n");
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: compare_texts CASES SEED OPERATIONS\n");
        return 2;
    }
    long cases = strtol(argv[1], NULL, 10), n_keys = 0, invalid = 0, mismatches = 0;
    long witnesses = 0, texts = 0, searched_n = 0, repeated = 0;
    uint64_t seed = strtoull(argv[2], NULL, 10);
    int32_t operations = (int32_t)strtol(argv[3], NULL, 10);
    static struct history h;
    if (operations < 1 || operations > OPERATIONS_MAX / KEYS_MAX)
        return 2;
    for (long c = 0; c < cases; c++) {
        struct outcome out, searched, threaded;
        random_history(&h, operations, &seed);
        bool is_right = judge(&h, &out, 1, false) && judge(&h, &searched, 1, true);
        if (c % 16 == 0)
            is_right = is_right && judge(&h, &threaded, 3, false) &&
                       memcmp(&out, &threaded, sizeof out) == 0;
        for (int32_t key = 0; key < h.n_keys; key++) {
            struct some all;
            gather(&h, key, &all);
            bool is_small = all.n <= SMALL;
            bool is_valid = is_small ? is_possible(&h, &all) : searched.verdict[key] == KEYS_VALID;
            int8_t verdict = is_valid ? KEYS_VALID : KEYS_INVALID;
            bool is_known = is_small || searched.verdict[key] <= KEYS_INVALID;
            bool is_texts = out.engine[key] == KEYS_TEXTS, has_repeat = has_repeats(&h, key);
            if (is_known)
                is_right = is_right && out.verdict[key] == verdict &&
                           searched.verdict[key] == verdict;
            if (out.verdict[key] == KEYS_VALID)
                is_right = is_right && is_linearization(&h, key, out.order + out.order_start[key],
                                                        out.order_length[key]);
            if (is_small && is_texts && !is_valid) {
                bool contradicts = out.n_witness[key] > 0 && is_contradiction(&h, &out, key);
                is_right = is_right && contradicts;
                witnesses += contradicts;
            }
            n_keys += all.n > 0;
            invalid += out.verdict[key] == KEYS_INVALID;
            texts += is_texts;
            searched_n += !is_texts && out.engine[key] != KEYS_NONE;
            repeated += is_texts && has_repeat;
        }
        if (!is_right && mismatches++ == 0)
            show(&h, &out, &searched);
    }
    printf("cases %ld keys %ld invalid %ld texts %ld searched %ld repeated %ld witnesses %ld "
           "mismatches %ld\n", cases, n_keys, invalid, texts, searched_n, repeated, witnesses,
           mismatches);
    return mismatches != 0;
}
