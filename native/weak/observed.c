/*
 * observed.c: whose write each read holds, key by key, and what one read shows to be wrong.
 *
 * Micro-operations are sorted by key once. Then the writer of a value is an entry of one array that
 * all keys share, so nothing is hashed, and hostile values cost no more than others.
 */
#define _DEFAULT_SOURCE
#include "observed.h"

#include <stdlib.h>
#include <string.h>

#include "pages.h"
#include "put.h"
#include "sound.h"

#define MICRO_MAX 2147483646

static void count_values(struct weak *weak)
{
    int32_t most = 0;
    for (int64_t at = 0; at < weak->micro->n; at++)
        most = weak->micro->value[at] > most ? weak->micro->value[at] : most;
    for (int64_t i = 0; i < weak->micro->items_n; i++)
        most = weak->micro->items[i] > most ? weak->micro->items[i] : most;
    weak->values_n = most + 1;
}

int weak_ascending(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

bool weak_completions(const struct weak *weak, int32_t *operations)
{
    int64_t *sorted = malloc(((size_t)weak->n + 1) * sizeof *sorted);
    if (sorted == NULL)
        return false;
    for (int32_t i = 0; i < weak->n; i++) {
        int64_t ret = weak_is_ok(weak, i) ? weak->columns->ret[i] : INT32_MAX;
        sorted[i] = ret * ((int64_t)1 << 32) + i;
    }
    qsort(sorted, (size_t)weak->n, sizeof *sorted, weak_ascending);
    for (int32_t i = 0; i < weak->n; i++)
        operations[i] = (int32_t)(sorted[i] & 0xFFFFFFFF);
    free(sorted);
    return true;
}

/* Sessions in the order of their processes. */
static bool line_up(struct weak *weak)
{
    int32_t n = weak->n, length = 0;
    int64_t *sorted = malloc(((size_t)n + 1) * sizeof *sorted);
    weak->session_first = malloc(((size_t)n + 1) * sizeof *weak->session_first);
    weak->line = malloc(((size_t)n + 1) * sizeof *weak->line);
    weak->line_place = malloc(((size_t)n + 1) * sizeof *weak->line_place);
    if (sorted == NULL || weak->session_first == NULL || weak->line == NULL ||
        weak->line_place == NULL) {
        free(sorted);
        return false;
    }
    for (int32_t i = 0; i < n; i++) {
        weak->line_place[i] = NONE;
        if (!weak_is_failed(weak, i))
            sorted[length++] = (int64_t)weak->columns->process[i] * ((int64_t)1 << 32) + i;
    }
    qsort(sorted, (size_t)length, sizeof *sorted, weak_ascending);
    bool is_over = true; /* an info ends its session: nothing is known to follow it */
    for (int32_t place = 0; place < length; place++) {
        int32_t i = (int32_t)(sorted[place] & 0xFFFFFFFF);
        bool is_new = place == 0 || sorted[place] >> 32 != sorted[place - 1] >> 32;
        if (is_new || is_over)
            weak->session_first[weak->sessions_n++] = place;
        is_over = !weak_is_ok(weak, i);
        weak->line[place] = i;
        weak->line_place[i] = place;
    }
    weak->session_first[weak->sessions_n] = length;
    free(sorted);
    return true;
}

int32_t weak_open(struct weak *weak)
{
    weak->n = weak->columns->n;
    if (weak->micro->n > MICRO_MAX || !sound_is_whole(weak->columns, weak->micro))
        return WEAK_MALFORMED;
    size_t micros = (size_t)weak->micro->n + 1, n = (size_t)weak->n + 2;
    count_values(weak);
    weak->owner = pages_allocate(micros * sizeof *weak->owner);
    weak->source = pages_allocate(micros * sizeof *weak->source);
    weak->wrote_key = pages_allocate(micros * sizeof *weak->wrote_key);
    weak->is_seen = calloc(n, 1);
    weak->wrote = calloc(n, sizeof *weak->wrote);
    if (weak->owner == NULL || weak->source == NULL || weak->wrote_key == NULL ||
        weak->is_seen == NULL || weak->wrote == NULL || !line_up(weak))
        return WEAK_MEMORY;
    memset(weak->source, 0xFF, micros * sizeof *weak->source);
    for (int32_t i = 0; i < weak->n; i++)
        for (int64_t at = weak->micro->first[i]; at < weak->micro->first[i + 1]; at++)
            weak->owner[at] = i;
    return WEAK_VALID;
}

void weak_close(struct weak *weak)
{
    void *blocks[] = {weak->owner, weak->source,        weak->wrote_key, weak->is_seen,
                      weak->wrote, weak->session_first, weak->line,      weak->line_place};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        free(blocks[i]);
    graph_edges_free(&weak->edges);
}

bool weak_error(struct weak *weak, int32_t anomaly, int32_t at, int32_t value, int32_t other_at)
{
    struct weak_result *result = weak->result;
    int64_t told = result->errors_told;
    if (result->errors_n++ >= weak->options->errors_max)
        return true;
    if ((told & (told + 1)) == 0) { /* full: 0, 1, 3, 7, … */
        size_t room = (size_t)(2 * told + 1) * sizeof *result->errors;
        struct weak_error *grown = realloc(result->errors, room);
        if (grown == NULL)
            return false;
        result->errors = grown;
    }
    result->errors[result->errors_told++] = (struct weak_error){
        anomaly,  weak->owner[at], at, value, other_at == NONE ? NONE : weak->owner[other_at],
        other_at};
    return true;
}

bool weak_put(struct weak *weak, int32_t from, int32_t to, uint8_t kind, int32_t key)
{
    return from == to ||
           graph_add(&weak->edges, (uint32_t)from, (uint32_t)to, kind, key) == WEAK_VALID;
}

/* The micro-operations key by key, and the starts of keys, keys_n + 1 of them. */
static bool sort_by_key(const struct weak *weak, int64_t **starts, struct entry **sorted)
{
    const struct micro *micro = weak->micro;
    *starts = calloc((size_t)micro->keys_n + 2, sizeof **starts);
    *sorted = pages_allocate(((size_t)micro->n + 1) * sizeof **sorted);
    if (*starts == NULL || *sorted == NULL)
        return false;
    int64_t *next = *starts + 1;
    for (int64_t at = 0; at < micro->n; at++)
        (*starts)[micro->key[at] + 2]++; /* keys_n + 1 at most */
    for (int32_t key = 0; key < micro->keys_n; key++)
        next[key + 1] += next[key];
    for (int32_t i = 0; i < weak->n; i++)
        for (int64_t at = micro->first[i]; at < micro->first[i + 1]; at++)
            (*sorted)[next[micro->key[at]]++] =
                (struct entry){.at = (int32_t)at,
                               .owner = i,
                               .value = micro->value[at],
                               .kind = micro->kind[at],
                               .type = weak->columns->type[i]};
    return true;
}

/* Mark the first and the last write of each operation. */
static void mark_places(const struct key_pass *pass)
{
    struct entry *last = NULL;
    for (int32_t i = 0; i < pass->n; i++) {
        struct entry *entry = &pass->entries[i];
        if (entry->kind == MICRO_READ)
            continue;
        if (last == NULL || last->owner != entry->owner) {
            entry->place |= PLACE_FIRST;
            if (last != NULL)
                last->place |= PLACE_LAST;
        }
        last = entry;
    }
    if (last != NULL)
        last->place |= PLACE_LAST;
}

enum key_kind { KEY_REGISTER, KEY_LIST, KEY_LEFT_OUT };

/* Remember who wrote what. */
static enum key_kind gather_writers(const struct weak *weak, const struct key_pass *pass)
{
    bool has_list = false, has_register = false, is_ambiguous = false;
    for (int32_t i = 0; i < pass->n; i++) {
        const struct entry *entry = &pass->entries[i];
        if (entry->kind == MICRO_READ) {
            bool is_ok = entry->type == COLUMNS_OK, is_value = entry->value > 0;
            has_register |= is_ok && is_value;
            has_list |= is_ok && !is_value && weak->micro->list[entry->at] != MICRO_NONE;
            continue;
        }
        has_list |= entry->kind == MICRO_APPEND;
        has_register |= entry->kind == MICRO_WRITE;
        is_ambiguous |= pass->writer[entry->value] != NONE ||
                        (entry->kind == MICRO_WRITE && entry->value == 0);
        pass->writer[entry->value] = i;
    }
    if (is_ambiguous || (has_list && has_register))
        return KEY_LEFT_OUT;
    return has_list ? KEY_LIST : KEY_REGISTER;
}

static void forget_writers(const struct key_pass *pass)
{
    for (int32_t i = 0; i < pass->n; i++)
        if (pass->entries[i].kind != MICRO_READ)
            pass->writer[pass->entries[i].value] = NONE;
}

/* What others wrote, as a register holds it: the source of a read, or an error. */
static bool resolve_outer(struct weak *weak, const struct key_pass *pass, const struct entry *read)
{
    int32_t at = read->at, value = read->value;
    if (value == 0) {
        weak->source[at] = weak->n;
        return true;
    }
    if (pass->writer[value] == NONE)
        return weak_error(weak, WEAK_PHANTOM, at, value, NONE);
    const struct entry *written = &pass->entries[pass->writer[value]];
    if (written->owner == read->owner)
        return weak_error(weak, WEAK_FUTURE_READ, at, value, written->at);
    if (written->type == COLUMNS_FAIL)
        return weak_error(weak, WEAK_ABORTED_READ, at, value, written->at);
    if (written->type == COLUMNS_INFO)
        weak->is_seen[written->owner] = 1;
    if (!(written->place & PLACE_LAST))
        return weak_error(weak, WEAK_INTERMEDIATE, at, value, written->at);
    weak->source[at] = written->owner;
    return true;
}

static bool resolve_register(struct weak *weak, const struct key_pass *pass)
{
    int32_t operation = NONE;
    const struct entry *own = NULL, *outer = NULL;
    for (int32_t i = 0; i < pass->n; i++) {
        const struct entry *entry = &pass->entries[i];
        if (entry->owner != operation)
            own = outer = NULL;
        operation = entry->owner;
        if (entry->type != COLUMNS_OK)
            continue;
        if (entry->kind != MICRO_READ) {
            own = entry;
        } else if (entry->value == MICRO_NONE) {
            continue; /* nobody knows */
        } else if (own != NULL) {
            if (entry->value != own->value &&
                !weak_error(weak, WEAK_INTERNAL, entry->at, entry->value, own->at))
                return false;
        } else {
            if (outer != NULL && entry->value != outer->value &&
                weak->options->level >= WEAK_READ_ATOMIC &&
                !weak_error(weak, WEAK_UNREPEATABLE, entry->at, entry->value, outer->at))
                return false;
            outer = entry;
            if (!resolve_outer(weak, pass, entry))
                return false;
        }
    }
    return true;
}

static bool is_last(const struct entry *entry)
{
    return entry->place & PLACE_LAST && entry->type != COLUMNS_FAIL;
}

/* The keys that each operation wrote, ascending, because keys come in their order. */
static void list_writes(struct weak *weak, const int64_t *starts, const struct entry *sorted)
{
    int64_t *next = weak->wrote + 1;
    for (int64_t i = 0; i < weak->micro->n; i++)
        if (is_last(&sorted[i]))
            weak->wrote[sorted[i].owner + 2]++; /* n + 1 at most */
    for (int32_t i = 0; i < weak->n; i++)
        next[i + 1] += next[i];
    for (int32_t key = 0; key < weak->micro->keys_n; key++)
        for (int64_t i = starts[key]; i < starts[key + 1]; i++)
            if (is_last(&sorted[i]))
                weak->wrote_key[next[sorted[i].owner]++] = key;
}

int32_t weak_resolve(struct weak *weak)
{
    int64_t *starts = NULL;
    struct entry *sorted = NULL;
    size_t values = (size_t)weak->values_n * sizeof(int32_t);
    struct key_pass pass = {.writer = pages_allocate(values), .index = pages_allocate(values)};
    bool is_fine = pass.writer != NULL && pass.index != NULL && sort_by_key(weak, &starts, &sorted);
    if (is_fine) {
        memset(pass.writer, 0xFF, values);
        memset(pass.index, 0xFF, values);
    }
    for (int32_t key = 0; is_fine && key < weak->micro->keys_n; key++) {
        pass.key = key;
        pass.entries = sorted + starts[key];
        pass.n = (int32_t)(starts[key + 1] - starts[key]);
        enum key_kind kind = gather_writers(weak, &pass);
        if (kind == KEY_LEFT_OUT) {
            weak->result->ambiguous_n++;
        } else {
            mark_places(&pass);
            is_fine = kind == KEY_LIST ? weak_lists(weak, &pass) : resolve_register(weak, &pass);
        }
        forget_writers(&pass);
    }
    if (is_fine)
        list_writes(weak, starts, sorted);
    free(pass.writer);
    free(pass.index);
    free(starts);
    free(sorted);
    return is_fine ? WEAK_VALID : WEAK_MEMORY;
}

int64_t weak_vertices(const struct weak *weak)
{
    return (int64_t)weak->n + 1 + weak->session_first[weak->sessions_n];
}

/* The place of an operation of a session is an auxiliary vertex: all that comes before it. */
static bool put_sessions(struct weak *weak)
{
    if (graph_reserve(&weak->edges, 3 * (int64_t)weak->n) != 0)
        return false;
    for (int32_t session = 0; session < weak->sessions_n; session++)
        for (int32_t place = weak->session_first[session];
             place + 1 < weak->session_first[session + 1]; place++) {
            uint32_t chain = (uint32_t)(weak->n + 1 + place);
            uint32_t next = (uint32_t)weak->line[place + 1];
            graph_put(&weak->edges, (uint32_t)weak->line[place], chain, GRAPH_SESSION,
                      GRAPH_NO_KEY);
            graph_put(&weak->edges, chain, next, GRAPH_LINK, GRAPH_NO_KEY);
            if (place + 2 < weak->session_first[session + 1])
                graph_put(&weak->edges, chain, chain + 1, GRAPH_LINK, GRAPH_NO_KEY);
        }
    return true;
}

int32_t weak_edges(struct weak *weak)
{
    if (!weak->options->no_sessions && !put_sessions(weak))
        return WEAK_MEMORY;
    for (int64_t at = 0; at < weak->micro->n; at++) {
        int32_t source = weak->source[at];
        if (source == NONE || source == weak->n)
            continue;
        if (!weak_put(weak, source, weak->owner[at], GRAPH_WR, weak->micro->key[at]))
            return WEAK_MEMORY;
    }
    return WEAK_VALID;
}
