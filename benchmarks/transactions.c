/*
 * transactions.c: random histories of transactions, for benchmarks/transactions.py.
 *
 * Usage: transactions TRANSACTIONS RULES CLIENTS KEYS SKEWED LEAST MOST BLIND WRITES CRASHED STALE
 *        SEED EDN
 *
 * Writes one history as EDN, a map a line, as Jepsen does. RULES is append (lists) or wr
 * (registers). CLIENTS transactions are open at a time, each of LEAST to MOST micro-operations,
 * half of them reads. Unless BLIND is 1, a write is preceded by a read of its key. The keys are a
 * pool of KEYS, with SKEWED 1 each with half the chance of the one before it. A key that WRITES
 * writes were given to is replaced by a new one. Each transaction takes effect at one instant while
 * it is open, so the history is strict serializable, except that of 1000 transactions STALE read a
 * state of up to 100 transactions before. Of 1000, CRASHED get no answer, and took effect or not.
 * Exit status: 0 done, 2 wrong usage or no such file, 3 no memory. Needs no privileges.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS_MAX 1000
#define KEYS_MAX 1000000
#define MICRO_MAX 100 /* drawn; each may come with a read */
#define WRITES_MAX 4096
#define STALE_MAX 100
#define NS_PER_EVENT 1000
#define BUFFER_BYTES (1 << 20)

enum phase { IDLE, CALLED, APPLIED };

struct micro {
    bool is_read;
    int64_t key, value; /* of a read: how many writes it shows */
};

struct transaction {
    enum phase phase;
    bool is_crashed, is_stale;
    int64_t process;
    int32_t n;
    struct micro micro[2 * MICRO_MAX];
};

/* The writes of a key in the order in which they took effect. */
struct key {
    int32_t given, n;
    uint32_t *value, *when;
};

struct simulation {
    FILE *file;
    char *buffer;
    size_t used;
    bool is_wr, is_skewed, is_blind;
    int64_t clients, pool, least, most, writes, crashed, stale;
    uint64_t seed;
    struct transaction open[CLIENTS_MAX];
    int64_t *of_pool; /* key numbers */
    struct key *keys;
    int64_t keys_n, keys_capacity;
    uint32_t applied;
    int64_t index;
};

/* splitmix64 */
static uint64_t random_next(struct simulation *s)
{
    uint64_t z = s->seed += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static int64_t below(struct simulation *s, int64_t n)
{
    return (int64_t)(random_next(s) % (uint64_t)n);
}

static void *checked(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "transactions: no memory\n");
        exit(3);
    }
    return memory;
}

static int64_t new_key(struct simulation *s)
{
    if (s->keys_n == s->keys_capacity) {
        s->keys_capacity = s->keys_capacity * 2 + 1024;
        s->keys = checked(realloc(s->keys, (size_t)s->keys_capacity * sizeof *s->keys));
    }
    size_t bytes = (size_t)s->writes * sizeof(uint32_t);
    s->keys[s->keys_n] = (struct key){0, 0, checked(malloc(bytes)), checked(malloc(bytes))};
    return s->keys_n++;
}

static void put_text(struct simulation *s, const char *text)
{
    size_t length = strlen(text);
    if (s->used + length + 32 > BUFFER_BYTES) {
        fwrite(s->buffer, 1, s->used, s->file);
        s->used = 0;
    }
    memcpy(s->buffer + s->used, text, length);
    s->used += length;
}

static void put_number(struct simulation *s, int64_t number)
{
    char digits[24];
    char *first = digits + sizeof digits - 1;
    *first = '\0';
    do
        *--first = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    put_text(s, first);
}

/* What a read shows, or nil. */
static void put_read(struct simulation *s, const struct micro *micro, bool is_answered)
{
    const struct key *key = &s->keys[micro->key];
    if (!is_answered || (s->is_wr && micro->value == 0)) {
        put_text(s, "nil");
    } else if (s->is_wr) {
        put_number(s, key->value[micro->value - 1]);
    } else {
        put_text(s, "[");
        for (int64_t i = 0; i < micro->value; i++) {
            put_text(s, i > 0 ? " " : "");
            put_number(s, key->value[i]);
        }
        put_text(s, "]");
    }
}

static void put_event(struct simulation *s, const struct transaction *t, const char *type)
{
    put_text(s, "{:index ");
    put_number(s, s->index);
    put_text(s, ", :time ");
    put_number(s, s->index++ * NS_PER_EVENT);
    put_text(s, ", :type ");
    put_text(s, type);
    put_text(s, ", :process ");
    put_number(s, t->process);
    put_text(s, ", :f :txn, :value [");
    for (int32_t i = 0; i < t->n; i++) {
        const struct micro *micro = &t->micro[i];
        put_text(s, i > 0 ? " [" : "[");
        put_text(s, micro->is_read ? ":r " : s->is_wr ? ":w " : ":append ");
        put_number(s, micro->key);
        put_text(s, " ");
        if (micro->is_read)
            put_read(s, micro, strcmp(type, ":ok") == 0);
        else
            put_number(s, micro->value);
        put_text(s, "]");
    }
    put_text(s, "]}\n");
}

static int64_t draw_key(struct simulation *s)
{
    int64_t place = 0;
    if (!s->is_skewed)
        place = below(s, s->pool);
    else
        while (place < s->pool - 1 && below(s, 2) == 0)
            place++;
    if (s->keys[s->of_pool[place]].given == s->writes)
        s->of_pool[place] = new_key(s);
    return s->of_pool[place];
}

static void call(struct simulation *s, struct transaction *t)
{
    t->phase = CALLED;
    t->is_crashed = below(s, 1000) < s->crashed;
    t->is_stale = below(s, 1000) < s->stale;
    t->n = 0;
    for (int64_t left = s->least + below(s, s->most - s->least + 1); left > 0; left--) {
        int64_t key = draw_key(s);
        bool is_read = below(s, 2) == 0 || s->keys[key].given == s->writes, is_known = s->is_blind;
        for (int32_t j = 0; j < t->n; j++) {
            is_known = is_known || t->micro[j].key == key;
            if (t->is_stale && t->micro[j].key == key && !t->micro[j].is_read)
                is_read = s->keys[key].given == s->writes;
        }
        if (is_read || !is_known)
            t->micro[t->n++] = (struct micro){true, key, 0};
        if (!is_read)
            t->micro[t->n++] = (struct micro){false, key, ++s->keys[key].given};
    }
    put_event(s, t, ":invoke");
}

static void apply(struct simulation *s, struct transaction *t)
{
    t->phase = APPLIED;
    s->applied++;
    uint32_t then = t->is_stale ? (uint32_t)below(s, STALE_MAX) + 1 : 0;
    then = then < s->applied ? s->applied - then : 0;
    for (int32_t i = 0; i < t->n; i++) {
        struct key *key = &s->keys[t->micro[i].key];
        if (t->micro[i].is_read) {
            int32_t n = key->n;
            while (n > 0 && key->when[n - 1] > then)
                n--;
            t->micro[i].value = n;
        } else {
            key->when[key->n] = s->applied;
            key->value[key->n++] = (uint32_t)t->micro[i].value;
        }
    }
}

static void step(struct simulation *s, int64_t *left)
{
    struct transaction *t = &s->open[below(s, s->clients)];
    if (t->phase == IDLE && *left > 0) {
        (*left)--;
        call(s, t);
    } else if (t->phase == CALLED) {
        if (!t->is_crashed || below(s, 2) == 0)
            apply(s, t);
        t->phase = APPLIED;
    } else if (t->phase == APPLIED) {
        put_event(s, t, t->is_crashed ? ":info" : ":ok");
        t->process += t->is_crashed ? s->clients : 0;
        t->phase = IDLE;
    }
}

static bool is_any_open(const struct simulation *s)
{
    for (int64_t i = 0; i < s->clients; i++)
        if (s->open[i].phase != IDLE)
            return true;
    return false;
}

static bool read_arguments(struct simulation *s, char **argv, int64_t *left)
{
    struct {
        int64_t *to, least, most;
    } numbers[] = {
        {left, 0, INT64_C(100000000)},
        {NULL, 0, 0},
        {&s->clients, 1, CLIENTS_MAX},
        {&s->pool, 1, KEYS_MAX},
        {NULL, 0, 1},
        {&s->least, 1, MICRO_MAX},
        {&s->most, 1, MICRO_MAX},
        {NULL, 0, 1},
        {&s->writes, 1, WRITES_MAX},
        {&s->crashed, 0, 1000},
        {&s->stale, 0, 1000},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int64_t number = strtoll(argv[i + 1], NULL, 10);
        if (numbers[i].to != NULL && (number < numbers[i].least || number > numbers[i].most))
            return false;
        if (numbers[i].to != NULL)
            *numbers[i].to = number;
    }
    s->is_wr = strcmp(argv[2], "wr") == 0;
    s->is_skewed = strcmp(argv[5], "1") == 0;
    s->is_blind = strcmp(argv[8], "1") == 0;
    s->seed = strtoull(argv[12], NULL, 10);
    return (s->is_wr || strcmp(argv[2], "append") == 0) && s->least <= s->most;
}

int main(int argc, char **argv)
{
    static struct simulation s;
    int64_t left = 0;
    if (argc != 14 || !read_arguments(&s, argv, &left)) {
        fprintf(stderr, "usage: transactions TRANSACTIONS append|wr CLIENTS KEYS SKEWED LEAST MOST "
                        "BLIND WRITES CRASHED STALE SEED EDN\n");
        return 2;
    }
    s.file = fopen(argv[13], "w");
    if (s.file == NULL) {
        perror(argv[13]);
        return 2;
    }
    s.buffer = checked(malloc(BUFFER_BYTES));
    s.of_pool = checked(malloc((size_t)s.pool * sizeof *s.of_pool));
    for (int64_t i = 0; i < s.pool; i++)
        s.of_pool[i] = new_key(&s);
    for (int64_t i = 0; i < s.clients; i++)
        s.open[i].process = i;
    while (left > 0 || is_any_open(&s))
        step(&s, &left);
    fwrite(s.buffer, 1, s.used, s.file);
    if (fclose(s.file) != 0) {
        perror(argv[13]);
        return 2;
    }
    return 0;
}
