/*
 * solve.c: the search for an order of writers.
 *
 * Reachability is a matrix of bits. Adding an edge changes rows of it; each word that changes is
 * remembered on a trail, so a choice can be taken back. Choices follow completions: what a correct
 * system did comes out at the first try.
 */
#define _DEFAULT_SOURCE
#include "solve.h"

#include <stdlib.h>
#include <string.h>

#include "observed.h"
#include "pages.h"

#define TRAIL_BYTES_MAX ((size_t)1 << 30)

struct pair {
    int32_t first, second; /* numbers of transactions, by completion */
    int32_t first_write, second_write;
};

/* A transaction that wrote a key, and who read that: a part of `readers`. */
struct written {
    int32_t by, key;
    int32_t readers, readers_n;
};

struct change {
    uint32_t row, word;
    uint64_t old;
};

/* One choice: the pair, and how much there was before it. */
struct choice {
    int32_t pair;
    size_t trail;
    int32_t decided;
    bool is_turned; /* the other direction is being tried */
};

struct solver {
    struct weak *weak;
    const struct solve_options *options;
    struct solve_result *result;
    int32_t n;           /* transactions */
    int32_t points;      /* vertices: one a transaction, or two */
    int32_t *operations; /* number -> operation, by completion */
    int32_t *number;     /* operation -> number, or NONE */
    size_t words;        /* of a row */
    uint64_t *reach;

    struct written *written; /* by key, then by number */
    int32_t written_n;
    int32_t *readers;
    struct pair *pairs;
    int64_t pairs_n;
    uint8_t *is_decided;
    int32_t *decided; /* pairs in the order in which they were */
    int32_t decided_n;
    struct change *trail;
    size_t trail_n, trail_room;
    struct choice *choices;
    int32_t choices_n;
    int64_t window;    /* pairs that are pruned after a choice */
    bool is_searching; /* before that nothing is ever taken back */
    bool is_out_of_memory;
};

static bool reaches(const struct solver *s, int32_t from, int32_t to)
{
    return s->reach[(size_t)from * s->words + (size_t)to / 64] >> (to % 64) & 1;
}

static bool keep(struct solver *s, uint32_t row, uint32_t word, uint64_t old)
{
    if (!s->is_searching)
        return true;
    if (s->trail_n == s->trail_room) {
        size_t room = s->trail_room == 0 ? 1024 : 2 * s->trail_room;
        struct change *grown = room * sizeof *grown > TRAIL_BYTES_MAX
                                   ? NULL
                                   : realloc(s->trail, room * sizeof *grown);
        if (grown == NULL) {
            s->is_out_of_memory = true;
            return false;
        }
        s->trail = grown;
        s->trail_room = room;
    }
    s->trail[s->trail_n++] = (struct change){row, word, old};
    return true;
}

/* All that reaches `from` reaches `to` and what that reaches. False for a cycle. */
static bool add(struct solver *s, int32_t from, int32_t to)
{
    if (from == to || reaches(s, to, from))
        return false;
    if (reaches(s, from, to))
        return true;
    const uint64_t *after = s->reach + (size_t)to * s->words;
    for (int32_t row = 0; row < s->points; row++) {
        if ((row != from && !reaches(s, row, from)) || reaches(s, row, to))
            continue;
        uint64_t *bits = s->reach + (size_t)row * s->words;
        s->result->steps += (int64_t)s->words;
        for (size_t word = 0; word < s->words; word++) {
            uint64_t joined = bits[word] | after[word];
            if (word == (size_t)to / 64)
                joined |= UINT64_C(1) << (to % 64);
            if (joined != bits[word] && !keep(s, (uint32_t)row, (uint32_t)word, bits[word]))
                return false;
            bits[word] = joined;
        }
    }
    return true;
}

/* The points that an edge between transactions connects. */
static int32_t start_of(const struct solver *s, int32_t number)
{
    return s->options->model == SOLVE_SNAPSHOT ? 2 * number : number;
}

static int32_t commit_of(const struct solver *s, int32_t number)
{
    return s->options->model == SOLVE_SNAPSHOT ? 2 * number + 1 : number;
}

static bool add_order(struct solver *s, int32_t from, int32_t to)
{
    return add(s, commit_of(s, from), start_of(s, to));
}

static bool add_missed(struct solver *s, int32_t reader, int32_t writer)
{
    return reader == writer || add(s, start_of(s, reader), commit_of(s, writer));
}

/* Whether one write cannot come before another. */
static bool is_impossible(struct solver *s, int32_t first, int32_t second)
{
    const struct written *before = &s->written[first];
    int32_t by = s->written[second].by;
    s->result->steps++;
    if (reaches(s, start_of(s, by), commit_of(s, before->by)))
        return true;
    for (int32_t i = 0; i < before->readers_n; i++) {
        int32_t reader = s->readers[before->readers + i];
        if (reader != by && reaches(s, commit_of(s, by), start_of(s, reader)))
            return true;
    }
    return false;
}

static bool decide(struct solver *s, int32_t pair, bool is_turned)
{
    const struct pair *chosen = &s->pairs[pair];
    int32_t first = is_turned ? chosen->second_write : chosen->first_write;
    int32_t second = is_turned ? chosen->first_write : chosen->second_write;
    const struct written *before = &s->written[first];
    int32_t by = s->written[second].by;
    s->is_decided[pair] = 1;
    s->decided[s->decided_n++] = pair;
    if (!add_order(s, before->by, by))
        return false;
    for (int32_t i = 0; i < before->readers_n; i++)
        if (!add_missed(s, s->readers[before->readers + i], by))
            return false;
    return true;
}

/* Decide all of some pairs that have one way only, until nothing changes. False for a contradiction. */
static bool follow(struct solver *s, int64_t from, int64_t n)
{
    int64_t end = from + n < s->pairs_n ? from + n : s->pairs_n;
    for (bool is_changed = s->options->window >= 0; is_changed;) {
        is_changed = false;
        for (int32_t i = (int32_t)from; i < end; i++) {
            if (s->is_decided[i])
                continue;
            bool not_as_is = is_impossible(s, s->pairs[i].first_write, s->pairs[i].second_write);
            bool not_turned = is_impossible(s, s->pairs[i].second_write, s->pairs[i].first_write);
            if (not_as_is && not_turned)
                return false;
            if (!not_as_is && !not_turned)
                continue;
            if (!decide(s, i, not_as_is))
                return false;
            is_changed = true;
        }
        if (s->result->steps > s->options->steps_max)
            return true; /* the caller looks */
    }
    return true;
}

static void take_back(struct solver *s, const struct choice *choice)
{
    while (s->trail_n > choice->trail) {
        const struct change *change = &s->trail[--s->trail_n];
        s->reach[(size_t)change->row * s->words + change->word] = change->old;
    }
    while (s->decided_n > choice->decided)
        s->is_decided[s->decided[--s->decided_n]] = 0;
}

/* Turn the last choice that was not turned yet. False where there is none. */
static bool turn(struct solver *s)
{
    while (s->choices_n > 0) {
        struct choice *choice = &s->choices[s->choices_n - 1];
        take_back(s, choice);
        if (!choice->is_turned) {
            choice->is_turned = true;
            s->result->configurations++;
            s->result->turned++;
            if (decide(s, choice->pair, true) || s->is_out_of_memory)
                return true;
            take_back(s, choice);
        }
        s->choices_n--;
    }
    return false;
}

static int32_t search(struct solver *s)
{
    bool is_fine = follow(s, 0, s->pairs_n);
    int32_t next = 0;
    s->window = s->options->window;
    for (;;) {
        if (s->is_out_of_memory || s->result->steps > s->options->steps_max ||
            s->result->configurations > s->options->configurations_max)
            return WEAK_BUDGET;
        if (!is_fine && s->choices_n > 0 && s->window >= 0 && s->window < s->pairs_n) {
            take_back(s, &s->choices[0]);
            next = s->choices[0].pair;
            s->choices_n = 0;
            s->window = s->pairs_n;
            is_fine = true;
        }
        if (!is_fine) {
            if (!turn(s))
                return WEAK_INVALID;
            next = s->choices[s->choices_n - 1].pair;
            is_fine = follow(s, next, s->window);
            continue;
        }
        while (next < s->pairs_n && s->is_decided[next])
            next++;
        if (next == s->pairs_n)
            return WEAK_VALID;
        s->choices[s->choices_n++] = (struct choice){next, s->trail_n, s->decided_n, false};
        s->result->configurations++;
        is_fine = decide(s, next, false) && follow(s, next, s->window);
    }
}

/* Transactions by completion, those without one last. */
static int32_t number_all(struct solver *s)
{
    const struct weak *weak = s->weak;
    size_t bytes = ((size_t)weak->n + 1) * sizeof(int32_t);
    s->operations = malloc(bytes);
    s->number = malloc(bytes);
    if (s->operations == NULL || s->number == NULL || !weak_completions(weak, s->operations))
        return WEAK_MEMORY;
    for (int32_t place = 0; place < weak->n; place++) {
        int32_t i = s->operations[place];
        s->number[i] = weak_counts(weak, i) ? s->n : NONE;
        if (s->number[i] != NONE)
            s->operations[s->n++] = i;
    }
    return s->n > SOLVE_TRANSACTIONS_MAX ? WEAK_BUDGET : WEAK_VALID;
}

static int by_key(const void *a, const void *b)
{
    const struct written *left = a, *right = b;
    if (left->key != right->key)
        return left->key < right->key ? -1 : 1;
    return (left->by > right->by) - (left->by < right->by);
}

static struct written *find_written(const struct solver *s, int32_t by, int32_t key)
{
    struct written wanted = {.by = by, .key = key};
    return bsearch(&wanted, s->written, (size_t)s->written_n, sizeof wanted, by_key);
}

/* Who wrote what, and who read it. */
static int32_t gather(struct solver *s)
{
    const struct weak *weak = s->weak;
    s->written = malloc(((size_t)weak->wrote[weak->n] + 1) * sizeof *s->written);
    s->readers = malloc(((size_t)weak->micro->n + 1) * sizeof *s->readers);
    if (s->written == NULL || s->readers == NULL)
        return WEAK_MEMORY;
    for (int32_t number = 0; number < s->n; number++) {
        int32_t i = s->operations[number];
        for (int64_t w = weak->wrote[i]; w < weak->wrote[i + 1]; w++)
            s->written[s->written_n++] = (struct written){number, weak->wrote_key[w], 0, 0};
    }
    qsort(s->written, (size_t)s->written_n, sizeof *s->written, by_key);
    for (int pass = 0; pass < 2; pass++) { /* count, then fill */
        for (int64_t at = 0; at < weak->micro->n; at++) {
            int32_t source = weak->source[at];
            if (source == NONE || source == weak->n)
                continue;
            struct written *w = find_written(s, s->number[source], weak->micro->key[at]);
            if (w != NULL && pass == 1)
                s->readers[w->readers + w->readers_n] = s->number[weak->owner[at]];
            if (w != NULL)
                w->readers_n++;
        }
        int32_t next = 0;
        for (int32_t w = 0; w < s->written_n && pass == 0; w++) {
            s->written[w].readers = next;
            next += s->written[w].readers_n;
            s->written[w].readers_n = 0;
        }
    }
    return WEAK_VALID;
}

/* Pairs whose later writer completed earlier come first. */
static int by_completion(const void *a, const void *b)
{
    const struct pair *left = a, *right = b;
    if (left->second != right->second)
        return left->second < right->second ? -1 : 1;
    if (left->first != right->first)
        return left->first > right->first ? -1 : 1;
    return (left->first_write > right->first_write) - (left->first_write < right->first_write);
}

static int32_t pair_up(struct solver *s)
{
    for (int32_t i = 0; i < s->written_n; i++)
        for (int32_t j = i + 1; j < s->written_n && s->written[j].key == s->written[i].key; j++)
            s->pairs_n++;
    s->result->pairs = s->pairs_n;
    if (s->pairs_n > s->options->steps_max || s->pairs_n >= INT32_MAX)
        return WEAK_BUDGET;
    s->pairs = malloc(((size_t)s->pairs_n + 1) * sizeof *s->pairs);
    s->decided = malloc(((size_t)s->pairs_n + 1) * sizeof *s->decided);
    s->choices = malloc(((size_t)s->pairs_n + 1) * sizeof *s->choices);
    s->is_decided = calloc((size_t)s->pairs_n + 1, 1);
    if (s->pairs == NULL || s->decided == NULL || s->choices == NULL || s->is_decided == NULL)
        return WEAK_MEMORY;
    struct pair *next = s->pairs;
    for (int32_t i = 0; i < s->written_n; i++)
        for (int32_t j = i + 1; j < s->written_n && s->written[j].key == s->written[i].key; j++)
            *next++ = (struct pair){s->written[i].by, s->written[j].by, i, j};
    qsort(s->pairs, (size_t)s->pairs_n, sizeof *s->pairs, by_completion);
    return WEAK_VALID;
}

/* Whether the demand asks that one comes before the other. */
static bool is_demanded(const struct solver *s, int32_t before, int32_t after)
{
    const struct columns *columns = s->weak->columns;
    int32_t a = s->operations[before], b = s->operations[after];
    if (columns->type[a] != COLUMNS_OK)
        return false;
    return (s->options->demand >= SOLVE_PROCESS && columns->process[a] == columns->process[b] &&
            columns->inv[a] < columns->inv[b]) ||
           (s->options->demand >= SOLVE_REALTIME && columns->ret_time[a] < columns->inv_time[b]);
}

/* All that is known before anything is chosen. WEAK_INVALID for a cycle. */
static int32_t add_known(struct solver *s)
{
    const struct weak *weak = s->weak;
    for (int32_t number = 0; number < s->n && s->options->model == SOLVE_SNAPSHOT; number++)
        if (!add(s, start_of(s, number), commit_of(s, number)))
            return WEAK_INVALID;
    for (int32_t b = 0; b < s->n && s->options->demand != SOLVE_DATA; b++)
        for (int32_t a = s->n - 1; a >= 0; a--) /* the last ones first: others follow from them */
            if (a != b && is_demanded(s, a, b) && !add_order(s, a, b))
                return WEAK_INVALID;
    for (int64_t e = 0; e < weak->edges.n; e++) {
        uint8_t kind = weak->edges.kind[e];
        if (kind != GRAPH_WW && kind != GRAPH_WR)
            continue;
        int32_t a = s->number[weak->edges.from[e]], b = s->number[weak->edges.to[e]];
        if (a != NONE && b != NONE && !add_order(s, a, b))
            return WEAK_INVALID;
    }
    for (int64_t at = 0; at < weak->micro->n; at++) { /* the initial values come before all */
        if (weak->source[at] != weak->n)
            continue;
        struct written wanted = {.by = NONE, .key = weak->micro->key[at]};
        int32_t low = 0, high = s->written_n;
        while (low < high) {
            int32_t middle = low + (high - low) / 2;
            if (by_key(&s->written[middle], &wanted) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        for (; low < s->written_n && s->written[low].key == wanted.key; low++)
            if (!add_missed(s, s->number[weak->owner[at]], s->written[low].by))
                return WEAK_INVALID;
    }
    return WEAK_VALID;
}

static int32_t keep_order(struct solver *s)
{
    struct solve_result *result = s->result;
    int64_t *sorted = malloc(((size_t)s->points + 1) * sizeof *sorted);
    result->order = malloc(((size_t)s->points + 1) * sizeof *result->order);
    if (sorted == NULL || result->order == NULL) {
        free(sorted);
        return WEAK_MEMORY;
    }
    for (int32_t point = 0; point < s->points; point++) {
        int64_t later = 0; /* what reaches more points comes earlier */
        for (size_t word = 0; word < s->words; word++)
            later += __builtin_popcountll(s->reach[(size_t)point * s->words + word]);
        sorted[point] = -later * ((int64_t)1 << 32) + point;
    }
    qsort(sorted, (size_t)s->points, sizeof *sorted, weak_ascending);
    for (int32_t place = 0; place < s->points; place++) {
        int32_t point = (int32_t)(sorted[place] & 0xFFFFFFFF);
        result->order[result->order_n++] =
            s->options->model == SOLVE_SNAPSHOT
                ? 2 * s->operations[point / 2] + point % 2
                : s->operations[point];
    }
    free(sorted);
    return WEAK_VALID;
}

static int32_t judge(struct solver *s)
{
    static int32_t (*const opening[])(struct weak *) = {weak_open, weak_resolve, weak_edges};
    static int32_t (*const building[])(struct solver *) = {number_all, gather, pair_up};
    int32_t verdict = WEAK_VALID;
    for (size_t i = 0; verdict == WEAK_VALID && i < sizeof opening / sizeof *opening; i++)
        verdict = opening[i](s->weak);
    if (verdict == WEAK_VALID && s->weak->result->errors_n > 0)
        return WEAK_INVALID;
    for (size_t i = 0; verdict == WEAK_VALID && i < sizeof building / sizeof *building; i++)
        verdict = building[i](s);
    if (verdict != WEAK_VALID)
        return verdict;
    s->points = s->options->model == SOLVE_SNAPSHOT ? 2 * s->n : s->n;
    s->words = ((size_t)s->points + 63) / 64;
    s->reach = calloc((size_t)s->points * s->words + 1, sizeof *s->reach);
    if (s->reach == NULL)
        return WEAK_MEMORY;
    verdict = add_known(s);
    s->is_searching = true;
    if (verdict == WEAK_VALID)
        verdict = search(s);
    if (verdict == WEAK_VALID && s->weak->result->ambiguous_n > 0)
        return WEAK_AMBIGUOUS;
    return verdict == WEAK_VALID ? keep_order(s) : verdict;
}

int32_t solve(const struct columns *columns, const struct micro *micro,
              const struct solve_options *options, struct solve_result *result)
{
    struct weak_options as_weak = {.level = WEAK_READ_ATOMIC, .no_sessions = 1};
    struct weak_result told = {0};
    struct weak weak = {
        .columns = columns, .micro = micro, .options = &as_weak, .result = &told};
    struct solver solver = {.weak = &weak, .options = options, .result = result};
    *result = (struct solve_result){0};
    if (options->model < SOLVE_SERIALIZABLE || options->model > SOLVE_SNAPSHOT ||
        options->demand < SOLVE_DATA || options->demand > SOLVE_REALTIME)
        result->verdict = WEAK_MALFORMED;
    else
        result->verdict = judge(&solver);
    result->errors_n = told.errors_n;
    void *blocks[] = {solver.operations, solver.number, solver.reach,
                      solver.written,    solver.readers, solver.pairs,
                      solver.is_decided, solver.decided, solver.trail,
                      solver.choices};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        free(blocks[i]);
    weak_close(&weak);
    weak_free(&told);
    return result->verdict;
}

void solve_free(struct solve_result *result)
{
    free(result->order);
    *result = (struct solve_result){0};
}
