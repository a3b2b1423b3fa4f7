/*
 * record.c: names of events, processes with their open operations, and the columns.
 */
#include <stdio.h>
#include <stdlib.h>

#include "rows.h"

#define NS_PER_EVENT 1000000 /* between events without a time */

enum process_state { PROCESS_FREE = -1, PROCESS_ENDED = -2 };

struct process {
    int32_t open;  /* the operation that is open, or a process_state */
    int32_t alias; /* which of the renamed processes it is now, counted from 1; 0: none */
    size_t answers; /* of a row: see rows_invoke */
};

/* An operation of a renamed process. */
struct alias {
    int32_t operation, alias;
};

int32_t event_name_slowly(struct load *l, struct intern *names, struct span text,
                          int32_t count_max)
{
    if (text.length > LOAD_TEXT_BYTES_MAX)
        return NO_ID(l, l->at, "expected a name of at most %d bytes", LOAD_TEXT_BYTES_MAX);
    int32_t id = intern_data(names, LOAD_TEXT, text.at, text.length);
    if (id < 0)
        load_no_memory(l);
    return id < count_max ? id : NO_ID(l, l->at, "expected at most %d names", count_max);
}

bool event_leave_out(struct load *l, struct span name)
{
    static const char rest[] = "(others)";
    if (l->fields.n >= LOAD_FIELDS_MAX || name.length > 100)
        name = (struct span){(const uint8_t *)rest, sizeof rest - 1};
    int32_t id = event_name_slowly(l, &l->fields, name, LOAD_FIELDS_MAX + 1);
    if (id >= 0)
        l->field_counts[id]++;
    return id >= 0;
}


const char *event_missing(const struct event *event)
{
    if (!event->has_process)
        return "process";
    if (event->type == EVENT_NONE)
        return "type";
    return event->f < 0 ? "f" : NULL;
}

bool event_set_named(struct load *l, struct event *event, struct span name)
{
    int32_t client = intern_find(&l->clients, LOAD_TEXT, name.at, name.length);
    event->is_client = client >= 0;
    if (event->is_client) {
        event->process = l->clients_first + client;
        return true;
    }
    event->nemesis = value_of_text(l, name);
    return event->nemesis >= 0;
}

static struct span name_of(const struct intern *names, int32_t id)
{
    return (struct span){intern_bytes(names, id), intern_length(names, id)};
}

static bool malformed(struct load *l, const struct event *event, const char *what)
{
    l->loaded.index = event->index;
    if (event->process >= l->clients_first && event->process - l->clients_first < l->clients.n) {
        struct span name = name_of(&l->clients, (int32_t)(event->process - l->clients_first));
        return load_fail(l, LOAD_MALFORMED, event->at, "process '%.*s' %s", SPAN_SHOWN(name), what);
    }
    return load_fail(l, LOAD_MALFORMED, event->at, "process %lld %s", (long long)event->process,
                     what);
}

static bool completes_another(struct load *l, const struct event *event, int32_t invoked)
{
    struct span asked = name_of(&l->fs, invoked), got = name_of(&l->fs, event->f);
    char what[128];
    snprintf(what, sizeof what, "invoked '%.*s', completed '%.*s'", SPAN_SHOWN(asked),
             SPAN_SHOWN(got));
    return malformed(l, event, what);
}

static bool is_among(struct span name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (name.length == strlen(names[i]) && memcmp(name.at, names[i], name.length) == 0)
            return true;
    return false;
}

/* Whether an ok completion of this operation repeats what was asked: it has no answer. */
static bool is_echo(const struct load *l, int32_t f)
{
    static const char *const names[] = {"write", "cas", "append", "put", "enqueue", "push",
                                        "insert"};
    return is_among(name_of(&l->fs, f), names, sizeof names / sizeof *names);
}

/* Whether an ok completion names another value than was asked to be set, both of one type. */
static bool contradicts(const struct load *l, const struct event *event, int32_t asked)
{
    if (event->type != LOAD_EVENT_OK || event->value == asked || event->value <= 0 || asked <= 0)
        return false;
    uint8_t wanted = l->values.tags[asked], got = l->values.tags[event->value];
    bool is_of_one_type = wanted == got || (wanted <= LOAD_TRUE && got <= LOAD_TRUE) ||
                          (wanted == LOAD_LARGE && got == LOAD_INTEGER) ||
                          (wanted == LOAD_INTEGER && got == LOAD_LARGE);
    return is_of_one_type && is_echo(l, event->f);
}

/* The state of a client process; NULL without memory. */
static struct process *process_of(struct load *l, int32_t process)
{
    int32_t before = l->processes.n;
    int32_t id = intern_word(&l->processes, LOAD_INTEGER, process);
    if (id < 0)
        return NULL;
    if ((size_t)id == l->open_capacity) {
        void *moved = load_grown(l->open, &l->open_capacity, (size_t)id + 1, sizeof *l->open);
        if (!moved)
            return NULL;
        l->open = moved;
    }
    if (id == before)
        l->open[id] = (struct process){PROCESS_FREE, 0, 0};
    return &l->open[id];
}

#define RESIZE(item, column)                                                                       \
    {                                                                                              \
        void *moved = realloc(l->column, capacity * sizeof(item));                                 \
        if (!moved)                                                                                \
            return load_no_memory(l);                                                              \
        l->column = moved;                                                                         \
    }

bool record_resize(struct load *l, size_t capacity)
{
    if (capacity > INT32_MAX)
        return load_fail(l, LOAD_SYNTAX, l->at, "expected at most 2^30 operations");
    LOAD_COLUMNS(RESIZE)
    RESIZE(uint16_t, node)
    l->capacity = capacity;
    return true;
}

static bool add_detail(struct load *l, int32_t operation, const struct event *event)
{
    if (l->details_n == l->details_capacity) {
        void *moved = l->details_n == INT32_MAX ? NULL
                                                : load_grown(l->details, &l->details_capacity,
                                                        l->details_n + 1, sizeof *l->details);
        if (!moved)
            return load_no_memory(l);
        l->details = moved;
    }
    l->details[l->details_n++] = (struct load_detail){
        operation, (int32_t)event->index, event->type != LOAD_EVENT_INVOKE,
        event->value, event->key, event->node, event->error,
    };
    return true;
}

/* Begin another process, because the one of this number has ended. */
static void rename_process(struct load *l, struct process *process, const struct event *event)
{
    if (!l->loaded.renamed)
        l->loaded.renamed_index = event->index;
    process->alias = (int32_t)++l->loaded.renamed;
}

static bool add_alias(struct load *l, int32_t operation, int32_t alias)
{
    void *moved = l->aliases;
    if (l->aliases_n == l->aliases_capacity)
        moved = load_grown(moved, &l->aliases_capacity, l->aliases_n + 1, sizeof *l->aliases);
    if (!moved)
        return load_no_memory(l);
    l->aliases = moved;
    l->aliases[l->aliases_n++] = (struct alias){operation, alias};
    return true;
}

static bool record_invocation(struct load *l, struct process *process, const struct event *event)
{
    if (process->open >= 0)
        return malformed(l, event, "already has an open operation");
    if (process->open == PROCESS_ENDED)
        rename_process(l, process, event);
    if ((size_t)l->n == l->capacity && !record_resize(l, l->capacity ? l->capacity * 2 : 64))
        return false;
    int32_t key = intern_word(&l->keys, LOAD_INTEGER, event->key);
    if (key < 0)
        return load_no_memory(l);
    size_t i = (size_t)l->n;
    l->type[i] = COLUMNS_INFO;
    l->process[i] = (int32_t)event->process;
    l->f[i] = (uint16_t)event->f;
    l->node[i] = (uint16_t)event->node;
    l->key[i] = key;
    l->value_in[i] = event->value;
    l->value_out[i] = -1;
    l->a[i] = event->value;
    l->b[i] = -1;
    l->inv[i] = (int32_t)event->index;
    l->ret[i] = -1;
    l->inv_time[i] = event->time;
    l->ret_time[i] = 0;
    if (event->is_cas && event->value > 0 && l->values.tags[event->value] == LOAD_LIST &&
        intern_length(&l->values, event->value) == 2 * sizeof(int32_t)) {
        memcpy(&l->a[i], intern_bytes(&l->values, event->value), sizeof(int32_t));
        memcpy(&l->b[i], intern_bytes(&l->values, event->value) + 4, sizeof(int32_t));
    }
    if (event->row.at && !rows_invoke(l, l->n, event, &process->answers))
        return false;
    process->open = l->n++;
    l->open_n++;
    if (l->open_n > l->loaded.open_max)
        l->loaded.open_max = l->open_n;
    if (process->alias && !add_alias(l, process->open, process->alias))
        return false;
    return !event->error || add_detail(l, process->open, event);
}

static bool record_completion(struct load *l, struct process *process, const struct event *event)
{
    if (process->open < 0)
        return malformed(l, event, "completes what it never invoked");
    int32_t operation = process->open;
    l->open_n--;
    if (l->f[operation] != (uint16_t)event->f)
        return completes_another(l, event, l->f[operation]);
    if (event->key && event->key != l->keys.words[l->key[operation]])
        return malformed(l, event, "completes on another key than it invoked");
    if (contradicts(l, event, l->value_in[operation]))
        return malformed(l, event, "completes with another value than it invoked");
    bool is_info = event->type == LOAD_EVENT_INFO;
    bool is_ok = event->type == LOAD_EVENT_OK;
    bool is_same = is_ok || event->value == l->value_in[operation];
    if (l->value_in[operation] == VALUE_OF_ROW &&
        !rows_complete(l, operation, event, process->answers, &is_same))
        return false;
    process->open = is_info ? PROCESS_ENDED : PROCESS_FREE;
    l->type[operation] = is_ok ? COLUMNS_OK : is_info ? COLUMNS_INFO : COLUMNS_FAIL;
    l->value_out[operation] = is_ok ? event->value : -1;
    l->ret[operation] = is_info ? -1 : (int32_t)event->index;
    l->ret_time[operation] = event->time;
    bool is_plain = !is_info && is_same;
    bool is_at_home = event->node == l->node[operation] &&
                      event->key == l->keys.words[l->key[operation]];
    if (is_plain && is_at_home && !event->error)
        return true;
    return add_detail(l, operation, event);
}

static bool record_nemesis(struct load *l, const struct event *event)
{
    void *moved = l->nemesis_events;
    if (l->nemesis_events_n == l->nemesis_events_capacity)
        moved = load_grown(moved, &l->nemesis_events_capacity, l->nemesis_events_n + 1,
                           sizeof *l->nemesis_events);
    if (!moved)
        return load_no_memory(l);
    l->nemesis_events = moved;
    l->nemesis_events[l->nemesis_events_n++] = (struct load_nemesis_event){
        event->time, (int32_t)event->index, event->nemesis, event->type, event->f,
        event->value, event->key, event->node, event->error,
    };
    return true;
}

/* Give an event its index, and count what its index says of events that are not there. */
static bool number(struct load *l, struct event *event)
{
    struct loaded *loaded = &l->loaded;
    if (!event->has_index)
        event->index = l->last_index + 1;
    if (event->index <= l->last_index) {
        loaded->index = event->index;
        return load_fail(l, LOAD_MALFORMED, event->at,
                         "index %lld comes after index %lld; lines must be in order of the index",
                         (long long)event->index, (long long)l->last_index);
    }
    if (event->index >= INT32_MAX)
        return load_fail(l, LOAD_SYNTAX, event->at, "expected an index below 2^31 - 1");
    if (loaded->misnumbered < 0 && event->index != loaded->events)
        loaded->misnumbered = loaded->events;
    if (loaded->events && event->index != l->last_index + 1 && !loaded->gaps++)
        loaded->gap_index = l->last_index;
    l->last_index = event->index;
    event->has_index = true;
    return true;
}

/* Give an event a time that is not before the last one. */
static void date(struct load *l, struct event *event)
{
    struct loaded *loaded = &l->loaded;
    bool is_first = loaded->events == 0;
    if (!event->has_time) {
        bool is_timeless = loaded->untimed == loaded->events;
        event->time = is_timeless ? event->index * NS_PER_EVENT : loaded->last_time + NS_PER_EVENT;
        loaded->untimed++;
    } else if (!is_first && event->time < loaded->last_time) {
        if (!loaded->backwards++) {
            loaded->backwards_index = event->index;
            l->backwards_at = event->at;
        }
        event->time = loaded->last_time + 1;
    }
    loaded->last_time = event->time;
}

bool load_record(struct load *l, struct event *event)
{
    if (!number(l, event))
        return false;
    if (event->has_time && (event->time > LOAD_TIME_MAX || event->time < -LOAD_TIME_MAX))
        return load_fail(l, LOAD_SYNTAX, event->at, "expected a time within 100 years, in ns");
    date(l, event);
    l->loaded.events++;
    if (event->row.at && !event->row_is_read && !rows_settle(l, event))
        return false;
    if (!event->is_client)
        return record_nemesis(l, event);
    if (event->process < INT32_MIN || event->process > INT32_MAX)
        return load_fail(l, LOAD_SYNTAX, event->at, "expected a process of 32 bits");
    l->switches += event->process != l->last_process;
    l->last_process = event->process;
    struct process *process = process_of(l, (int32_t)event->process);
    if (!process)
        return load_no_memory(l);
    if (l->rows.mode != LOAD_NO_TRANSACTIONS && !rows_admit(l, event))
        return false;
    if (event->is_cas && !event->row.at && !event_pair_swap(l, event))
        return false;
    return event->type == LOAD_EVENT_INVOKE ? record_invocation(l, process, event)
                                            : record_completion(l, process, event);
}

int64_t record_processes_end(const struct load *l)
{
    int64_t end = 0;
    for (int32_t i = 0; i < l->n; i++)
        end = l->process[i] >= end ? (int64_t)l->process[i] + 1 : end;
    return end;
}

bool record_finish(struct load *l)
{
    if (l->loaded.backwards && l->processes.n > 1 && l->switches == l->processes.n) {
        l->loaded.index = l->loaded.backwards_index;
        return load_fail(l, LOAD_MALFORMED, l->backwards_at,
                         "the lines of each process stand together, and times run backwards from "
                         "one to the next; sort the lines by time");
    }
    if (!l->loaded.renamed)
        return true;
    int64_t first = l->loaded.renamed_first = record_processes_end(l);
    if (first + l->loaded.renamed > INT32_MAX)
        return load_fail(l, LOAD_SYNTAX, l->end, "expected a process of 32 bits");
    for (size_t i = 0; i < l->aliases_n; i++)
        l->process[l->aliases[i].operation] = (int32_t)(first + l->aliases[i].alias - 1);
    return true;
}

/* Whether a name says that it is no client's; letters may be great or small. */
static bool is_nemesis(struct span name)
{
    static const char word[] = "nemesis";
    if (SPAN_IS(name, "recovery") || SPAN_IS(name, "majority-only"))
        return true;
    for (size_t at = 0; at + sizeof word - 1 <= name.length; at++) {
        size_t i = 0;
        while (i < sizeof word - 1 && (name.at[at + i] | 0x20) == word[i])
            i++;
        if (i == sizeof word - 1)
            return true;
    }
    return false;
}

/* Whether only clients do what has this name. */
static bool is_of_clients(struct span f)
{
    static const char *const names[] = {"read",    "write",   "cas",  "get", "put",     "append",
                                        "enqueue", "dequeue", "push", "pop", "acquire", "release",
                                        "txn",     "contains"};
    return is_among(f, names, sizeof names / sizeof *names);
}

bool record_find_clients(struct load *l)
{
    bool *is_client = calloc((size_t)l->fs.n + 1, sizeof *is_client), has_memory = true;
    if (!is_client)
        return load_no_memory(l);
    for (int32_t f = 0; f < l->fs.n; f++)
        is_client[f] = is_of_clients(name_of(&l->fs, f));
    for (int32_t i = 0; i < l->n; i++)
        is_client[l->f[i]] = true;
    for (size_t i = 0; has_memory && i < l->nemesis_events_n; i++) {
        const struct load_nemesis_event *event = &l->nemesis_events[i];
        struct span name = name_of(&l->values, event->process);
        if (is_client[event->f] && !is_nemesis(name))
            has_memory = intern_data(&l->clients, LOAD_TEXT, name.at, name.length) >= 0;
    }
    free(is_client);
    return has_memory || load_no_memory(l);
}
