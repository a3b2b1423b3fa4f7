/*
 * fuzz_load.c: damaged histories, which the loader must read or refuse, and never more.
 *
 * Usage: fuzz_load CASES SEED FILE...
 *
 * Each case damages one file (bytes changed, runs cut, doubled or swapped for tokens, the end cut
 * off), in one of eight with an allocation that fails, and reads it from a buffer of its exact size.
 * Columns and events that come out must be what columns.h and load.h say. Prints counts; the exit
 * status is 1 when something was not. Linked with --wrap for malloc, calloc and realloc.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static int64_t allocations_left = INT64_MAX;

void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes);

void *__wrap_calloc(size_t n, size_t bytes)
{
    return allocations_left-- > 0 ? __real_calloc(n, bytes) : NULL;
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return allocations_left-- > 0 ? __real_realloc(old, bytes) : NULL;
}

void *__wrap_malloc(size_t bytes)
{
    return allocations_left-- > 0 ? __real_malloc(bytes) : NULL;
}

#define FILES_MAX 64
#define FILE_BYTES_MAX 65536
#define DAMAGES_MAX 6

struct file {
    uint8_t *bytes;
    size_t size;
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t below(uint64_t *state, size_t limit)
{
    return limit ? (size_t)(next_random(state) % limit) : 0;
}

static bool is_id(const struct load_values *values, int32_t id)
{
    return id >= 0 && id < values->n;
}

/* Whether items come before what they are items of, and all lies within the bytes. */
static bool are_values(const struct load_values *values)
{
    for (int32_t id = 0; id < values->n; id++) {
        uint32_t length;
        int32_t item;
        if (values->tags[id] > LOAD_JSON_TEXT)
            return false;
        if (values->tags[id] < LOAD_TEXT)
            continue;
        size_t offset = (size_t)values->words[id];
        if (values->words[id] < 0 || offset + sizeof length > values->bytes_n)
            return false;
        memcpy(&length, values->bytes + offset, sizeof length);
        if (offset + sizeof length + length > values->bytes_n)
            return false;
        if (values->tags[id] != LOAD_LIST && values->tags[id] != LOAD_MAP)
            continue;
        for (size_t at = 0; at < length; at += sizeof item) {
            memcpy(&item, values->bytes + offset + sizeof length + at, sizeof item);
            if (item < 0 || item >= id)
                return false;
        }
    }
    return true;
}

/* Whether a value of a client may have this id: in a history of transactions there are more. */
static bool is_value(const struct loaded *loaded, int32_t id)
{
    int64_t rows = loaded->has_rows ? 2 * (int64_t)loaded->columns.n : 0;
    return id >= 0 && id < loaded->values.n + rows;
}

static bool is_run(int64_t from, int64_t n, int64_t limit)
{
    return from >= 0 && n >= 0 && n <= limit - from;
}

/* Whether places of micro-operations, and what stands there, are what micro.h says. */
static bool are_micro(const struct loaded *loaded, int64_t from, int64_t n)
{
    const struct micro *m = &loaded->micro;
    for (int64_t i = from; i < from + n; i++) {
        bool is_list = m->list[i] != MICRO_NONE;
        if (m->kind[i] > MICRO_WRITE || m->key[i] < 0 || m->key[i] >= m->keys_n ||
            (m->value[i] != MICRO_NONE && !is_id(&loaded->values, m->value[i])) ||
            (m->kind[i] != MICRO_READ && m->value[i] == MICRO_NONE) ||
            is_list != (m->length[i] != MICRO_NONE) ||
            (is_list && (m->value[i] != MICRO_NONE || m->kind[i] != MICRO_READ ||
                         !is_run(m->list[i], m->length[i], m->items_n))))
            return false;
        const int32_t *longest = m->items + (is_list ? m->longest[m->key[i]] : 0);
        bool is_begun = is_list && m->longest[m->key[i]] != MICRO_NONE &&
                        m->length[i] <= m->longest_length[m->key[i]] &&
                        memcmp(longest, m->items + m->list[i],
                               (size_t)m->length[i] * sizeof *longest) == 0;
        /* An empty longest list has the place of the list after it. */
        bool is_there = is_list && m->list[i] == m->longest[m->key[i]] &&
                        m->length[i] <= m->longest_length[m->key[i]];
        if (is_begun != is_there)
            return false;
    }
    return true;
}

static bool are_rows(const struct loaded *loaded)
{
    const struct micro *m = &loaded->micro;
    if (!loaded->has_rows)
        return loaded->rows_n == 0;
    if (m->operations != loaded->columns.n || m->first[0] != 0 || m->first[m->operations] != m->n)
        return false;
    for (int32_t i = 0; i < m->operations; i++)
        if (m->first[i] > m->first[i + 1] ||
            loaded->columns.value_in[i] != loaded->values.n + 2 * i)
            return false;
    for (int32_t i = 0; i < m->keys_n; i++)
        if (!is_id(&loaded->values, m->keys[i]) ||
            (m->longest[i] == MICRO_NONE) != (m->longest_length[i] == MICRO_NONE) ||
            (m->longest[i] != MICRO_NONE &&
             !is_run(m->longest[i], m->longest_length[i], m->items_n)))
            return false;
    for (int64_t i = 0; i < m->items_n; i++)
        if (!is_id(&loaded->values, m->items[i]))
            return false;
    int64_t end = m->n, last = -1;
    for (int64_t i = 0; i < loaded->rows_n; i++) {
        const struct load_row *row = &loaded->rows[i];
        int64_t place = 2 * (int64_t)row->operation + row->is_completion;
        if (place <= last || row->operation >= m->operations || row->count < -1 ||
            (row->count >= 0 && (row->first < m->n || !are_micro(loaded, row->first, row->count))))
            return false;
        last = place;
        end += row->count > 0 ? row->count : 0;
    }
    return end >= m->n && are_micro(loaded, 0, m->n);
}

static bool is_operation(const struct loaded *loaded, int32_t i)
{
    const struct columns *c = &loaded->columns;
    bool is_ok = c->type[i] == COLUMNS_OK;
    bool has_ret = c->ret[i] != -1;
    return c->type[i] >= COLUMNS_OK && c->type[i] <= COLUMNS_INFO && c->f[i] < loaded->fs.n &&
           loaded->node[i] < loaded->nodes.n && is_id(&loaded->keys, c->key[i]) &&
           is_value(loaded, c->value_in[i]) && is_value(loaded, c->a[i]) &&
           (is_ok ? is_value(loaded, c->value_out[i]) : c->value_out[i] == -1) &&
           (c->b[i] == -1 || is_id(&loaded->values, c->b[i])) && c->inv[i] >= 0 &&
           (i == 0 || c->inv[i] > c->inv[i - 1]) && has_ret == (c->type[i] != COLUMNS_INFO) &&
           (!has_ret || c->ret[i] > c->inv[i]);
}

/* Whether the events of nemeses come in order, and all that they name is there. */
static bool are_nemesis_events(const struct loaded *loaded)
{
    for (int32_t i = 0; i < loaded->nemesis_events_n; i++) {
        const struct load_nemesis_event *event = &loaded->nemesis_events[i];
        int32_t before = i ? event[-1].index : -1;
        if (event->index <= before || event->type < LOAD_EVENT_INVOKE ||
            event->type > LOAD_EVENT_INFO || !is_id(&loaded->values, event->process) ||
            loaded->values.tags[event->process] != LOAD_TEXT || !is_id(&loaded->fs, event->f) ||
            !is_id(&loaded->values, event->value) || !is_id(&loaded->values, event->key) ||
            !is_id(&loaded->nodes, event->node) || !is_id(&loaded->values, event->error))
            return false;
    }
    return loaded->nemesis_events_n <= loaded->events && loaded->open_max <= loaded->columns.n;
}

static bool are_columns(const struct loaded *loaded)
{
    if (!are_rows(loaded) || !are_values(&loaded->values) || !are_values(&loaded->fs) ||
        !are_values(&loaded->nodes))
        return false;
    for (int32_t i = 0; i < loaded->keys.n; i++)
        if (!is_id(&loaded->values, (int32_t)loaded->keys.words[i]))
            return false;
    for (int32_t i = 0; i < loaded->columns.n; i++)
        if (!is_operation(loaded, i))
            return false;
    for (int32_t i = 0; i < loaded->details_n; i++) {
        const struct load_detail *detail = &loaded->details[i];
        if (detail->operation < 0 || detail->operation >= loaded->columns.n ||
            !is_value(loaded, detail->value) || !is_id(&loaded->values, detail->error) ||
            !is_id(&loaded->nodes, detail->node))
            return false;
    }
    return true;
}

/* Change the bytes in place; there is room for twice FILE_BYTES_MAX. Returns the new size. */
static size_t damaged(uint64_t *state, uint8_t *bytes, size_t size)
{
    static const char *const tokens[] = {
        "{", "}", "[", "]", "(", ")", "#{", "#_", "#tag ", "\"", "\\", "\n", " ", ",", ":", ";",
        "nil", "null", "true", "-", "1e999", "1/0", "1/3", "-0.0", "99999999999999999999999",
        "\\u", "\\ud83d\\ude00", "\\ud800", "\xc3\xa9", "\xc3", "\xff", "\\newline", ":ok",
        ":info", "\"info\"", "4294967296", "9223372036854775807", "-9223372036854775808", "2147483647",
        "[[[[[[[[[[[[[[[[", "##NaN", "^", "#\"", "#<", "0x", "\t", "jepsen.util: ", ":nemesis",
        "\"process\"", "{{{{{{{{{{{{{{{{", "#a #a #a #a #a #a #a ", "1N", "2.5M", "+", "0",
        "[:r 1 [1 2]]", "[[:r 1 nil]]", "[\"r\",1,[1,2]]", ":append", "[1 2 3]", "[1,2]", "[]",
        "[[",
    };
    size_t at = below(state, size), run = below(state, 1 + (size - at < 40 ? size - at : 40));
    const char *token = tokens[below(state, sizeof tokens / sizeof *tokens)];
    size_t length = strlen(token);
    switch (below(state, 6)) {
    case 0:
        if (size)
            bytes[at] = (uint8_t)next_random(state);
        return size;
    case 1:
        memmove(bytes + at, bytes + at + run, size - at - run);
        return size - run;
    case 2:
        memmove(bytes + at + run, bytes + at, size - at);
        return size + run;
    case 3:
        return below(state, 4) ? size : at;
    case 4:
        run = 0; /* fall through */
    default:
        memmove(bytes + at + length, bytes + at + run, size - at - run);
        memcpy(bytes + at, token, length);
        return size - run + length;
    }
}

static bool read_file(const char *path, struct file *file)
{
    FILE *stream = fopen(path, "rb");
    if (!stream)
        return false;
    file->bytes = malloc(FILE_BYTES_MAX);
    file->size = file->bytes ? fread(file->bytes, 1, FILE_BYTES_MAX, stream) : 0;
    fclose(stream);
    return file->bytes != NULL;
}

int main(int argc, char **argv)
{
    static uint8_t scratch[2 * FILE_BYTES_MAX];
    struct file files[FILES_MAX];
    uint64_t by_status[4] = {0}, violations = 0, nemesis_events = 0;
    uint64_t transactions = 0, rows = 0;
    size_t n_files = argc > 3 ? (size_t)argc - 3 : 0;
    if (n_files == 0 || n_files > FILES_MAX)
        return 2;
    uint64_t cases = strtoull(argv[1], NULL, 10), state = strtoull(argv[2], NULL, 10) | 1;
    for (size_t i = 0; i < n_files; i++)
        if (!read_file(argv[3 + i], &files[i]))
            return 2;
    for (uint64_t i = 0; i < cases; i++) {
        const struct file *file = &files[below(&state, n_files)];
        size_t size = file->size, damages = below(&state, DAMAGES_MAX + 1);
        memcpy(scratch, file->bytes, size);
        for (size_t each = 0; each < damages; each++)
            size = damaged(&state, scratch, size);
        uint8_t *exact = malloc(size ? size : 1);
        if (!exact)
            return 2;
        memcpy(exact, scratch, size);
        allocations_left = below(&state, 8) ? INT64_MAX : (int64_t)below(&state, 90);
        int32_t keyed = below(&state, 4) == 0, transactions_asked = (int32_t)below(&state, 3);
        struct loaded *loaded = load_open(exact, size, 0, keyed, transactions_asked, state);
        allocations_left = INT64_MAX;
        free(exact); /* the columns need it no more */
        if (loaded) {
            by_status[loaded->status]++;
            bool is_read = loaded->status == LOAD_OK;
            violations += is_read ? !are_columns(loaded) || !are_nemesis_events(loaded)
                                  : !loaded->message[0];
            nemesis_events += is_read ? (uint64_t)loaded->nemesis_events_n : 0;
            transactions += is_read && loaded->has_rows && loaded->micro.n;
            rows += is_read ? (uint64_t)loaded->rows_n : 0;
        }
        load_close(loaded);
    }
    for (size_t i = 0; i < n_files; i++)
        free(files[i].bytes);
    printf("cases %llu ok %llu syntax %llu malformed %llu memory %llu violations %llu nemeses %llu "
           "transactions %llu rows %llu\n",
           (unsigned long long)cases, (unsigned long long)by_status[LOAD_OK],
           (unsigned long long)by_status[LOAD_SYNTAX], (unsigned long long)by_status[LOAD_MALFORMED],
           (unsigned long long)by_status[LOAD_NO_MEMORY], (unsigned long long)violations,
           (unsigned long long)nemesis_events, (unsigned long long)transactions,
           (unsigned long long)rows);
    return violations ? 1 : 0;
}
