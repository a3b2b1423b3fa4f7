/*
 * record.h: the fields of an event, whatever notation it is written in, and how one event after the
 * other becomes columns.
 *
 * A reader of a format fills a `struct event` field by field and gives it to `load_record`. Names
 * (f, nodes) have tables of their own. An invocation of a client opens an operation of its process,
 * and the next event of the process completes it; a process that goes on after an info counts as a
 * new one. Events of nemeses are kept as they are. The rules and the messages are those of `pair` in
 * `harness/history.py`, which pairs live events. On an error the functions set it, and return
 * false or -1.
 *
 * The order of the lines is the order of the events. Times that contradict it are changed, and
 * counted.
 */
#ifndef DISSEVER_RECORD_H
#define DISSEVER_RECORD_H

#include "values.h"

struct notation;

/* One event as it is read; the ids are those of `values`, except for f and node. */
struct event {
    const uint8_t *at; /* where it begins, for errors */
    int64_t index, time;
    int64_t process; /* of a client */
    int32_t nemesis; /* the name of a process that is no client */
    int32_t f;       /* -1 until it is read */
    int32_t type;    /* a load_event_type, or EVENT_NONE */
    int32_t value, key, node, error;
    int32_t pair_key, pair_value; /* of a value that is [key value], if `has_pair` */
    uint32_t fields; /* a bit for each that was read */
    bool has_index, has_time, has_process, has_pair, is_client, is_cas;
    bool row_is_read, has_answers;   /* of a row: see rows.h */
    struct span row;                 /* its text; at NULL where the value is none */
    const struct notation *notation; /* in which it is written */
};

#define EVENT_NONE (-1)
#define EVENT_EMPTY {.f = -1, .type = EVENT_NONE}

enum field {
    FIELD_INDEX,
    FIELD_TIME,
    FIELD_PROCESS,
    FIELD_TYPE,
    FIELD_F,
    FIELD_VALUE,
    FIELD_KEY,
    FIELD_NODE,
    FIELD_ERROR,
    FIELD_OTHER /* it is left out, and counted */
};

/* The id of a name in a table of names; past count_max names it is an error. */
int32_t event_name_slowly(struct load *l, struct intern *names, struct span text,
                          int32_t count_max);

/* Count a field that is left out; past LOAD_FIELDS_MAX names it counts as "(others)". */
bool event_leave_out(struct load *l, struct span name);

/*
 * Take all that was pushed since the stack held `from` as the value of an event: as a pair, of
 * which no value is made, or else as a list.
 */
bool event_pop_pair(struct load *l, struct event *event, size_t from);

/*
 * Make the key and the value of a client's pair, or of [key old new], {key, value} or
 * {key, old, new}. What is none of them is an error, except in a completion that is not ok. The
 * value of a nemesis stays whole.
 */
bool event_divide(struct load *l, struct event *event);

/* Make [old new] of the value of a compare-and-set that is a map of the two. */
bool event_pair_swap(struct load *l, struct event *event);

/* The first field that an event needs and lacks, or NULL. */
const char *event_missing(const struct event *event);

/* As event_name_slowly; a short name that was met before is found in one look. */
static inline int32_t event_name(struct load *l, struct name_cache *cache, struct intern *names,
                                 struct span text, int32_t count_max)
{
    uint64_t word = text.length; /* which no other name of at most 7 bytes makes up */
    if (text.length > 7 || text.length == 0)
        return event_name_slowly(l, names, text, count_max);
    for (size_t i = 0; i < text.length; i++)
        word = word << 8 | text.at[i];
    size_t slot = (size_t)(word * UINT64_C(0x9e3779b97f4a7c15) >> 60);
    if (cache->words[slot] != word) {
        int32_t id = event_name_slowly(l, names, text, count_max);
        if (id < 0)
            return -1;
        cache->words[slot] = word;
        cache->ids[slot] = id;
    }
    return cache->ids[slot];
}

/* Set f and whether it is a compare-and-set. */
static inline bool event_set_f(struct load *l, struct event *event, struct span name)
{
    event->f = event_name(l, &l->fs_cache, &l->fs, name, LOAD_NAMES_MAX);
    event->is_cas = SPAN_IS(name, "cas");
    return event->f >= 0;
}

/* Set the node. */
static inline bool event_set_node(struct load *l, struct event *event, struct span name)
{
    event->node = event_name(l, &l->nodes_cache, &l->nodes, name, LOAD_NAMES_MAX);
    return event->node >= 0;
}

/* Note that a field is read; twice is an error. */
static inline bool event_begin_field(struct load *l, struct event *event, enum field field,
                                     struct span name)
{
    uint32_t bit = field == FIELD_OTHER ? 0 : UINT32_C(1) << field;
    bool is_second = event->fields & bit;
    event->fields |= bit;
    return !is_second || load_fail(l, LOAD_SYNTAX, l->at, "an event has the field %.*s twice",
                                   SPAN_SHOWN(name));
}

/* Set the process, which has a name: one of `clients`, or a nemesis. */
bool event_set_named(struct load *l, struct event *event, struct span name);

/* Keep the process, which is an integer; one of more than 32 bits is a name, as it is written. */
static inline bool event_set_number(struct load *l, struct event *event, struct span name)
{
    bool is_short = event->process >= INT32_MIN && event->process <= INT32_MAX;
    return is_short || event_set_named(l, event, name);
}

/* The type of that name, or EVENT_NONE. */
static inline int32_t event_type_of(struct span name)
{
    if (SPAN_IS(name, "invoke"))
        return LOAD_EVENT_INVOKE;
    if (SPAN_IS(name, "ok"))
        return LOAD_EVENT_OK;
    if (SPAN_IS(name, "fail"))
        return LOAD_EVENT_FAIL;
    return SPAN_IS(name, "info") ? LOAD_EVENT_INFO : EVENT_NONE;
}

/* Set the type, whose name is written at a place. */
static inline bool event_set_type(struct load *l, struct event *event, const uint8_t *at,
                                  struct span name)
{
    event->type = event_type_of(name);
    return event->type != EVENT_NONE ||
           load_fail(l, LOAD_SYNTAX, at, "expected a type of operation, got '%.*s'",
                     SPAN_SHOWN(name));
}

/* The field of that name. */
static inline enum field event_field_of(struct span name)
{
    switch (name.length) {
    case 1:
        return name.at[0] == 'f' ? FIELD_F : FIELD_OTHER;
    case 3:
        return SPAN_IS(name, "key") ? FIELD_KEY : FIELD_OTHER;
    case 4:
        return SPAN_IS(name, "type")   ? FIELD_TYPE
               : SPAN_IS(name, "time") ? FIELD_TIME
               : SPAN_IS(name, "node") ? FIELD_NODE
                                       : FIELD_OTHER;
    case 5:
        return SPAN_IS(name, "value")   ? FIELD_VALUE
               : SPAN_IS(name, "index") ? FIELD_INDEX
               : SPAN_IS(name, "error") ? FIELD_ERROR
                                        : FIELD_OTHER;
    case 7:
        return SPAN_IS(name, "process") ? FIELD_PROCESS : FIELD_OTHER;
    default:
        return FIELD_OTHER;
    }
}

/*
 * Add an event that lacks no field that it needs: number it, time it, and pair it or keep it.
 *
 * Returns false, with the error set, when no run can have this event here, a number is out of its
 * range, or memory runs out.
 */
bool load_record(struct load *l, struct event *event);

/*
 * After the last event: give new numbers to the processes that went on after an info. Returns
 * false, with the error set, when the lines of each process stand together and are not in order of
 * time, or memory runs out.
 */
bool record_finish(struct load *l);

/* The greatest process of a client, and 1; 0 where there is none. */
int64_t record_processes_end(const struct load *l);

/*
 * Put the names of those processes into `clients` which do what clients do: an operation that a
 * process with a number does too, or one of the usual names. A name that says that it is a nemesis
 * is none. Returns false, with the error set, when memory runs out.
 */
bool record_find_clients(struct load *l);

/*
 * Give every column a capacity of at least 1; what is past it is lost. Without memory it sets the
 * error and returns false.
 */
bool record_resize(struct load *l, size_t capacity);

#endif
