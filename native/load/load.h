/*
 * load.h: from the bytes of a history to columns.
 *
 * The content decides the format, not a name: our JSON lines, a JSON array, JSON objects of several
 * lines, EDN (Jepsen's map a line, Knossos' vector of maps or of tuples, Porcupine's kv text), logs
 * (Jepsen's history.txt, jepsen.log and console, Porcupine's etcd log), and sessions of transactions
 * (dbcop, Plume, PolySI). Operations of clients
 * become columns; events of nemeses are kept one by one. The input may be hostile: whatever is past
 * a limit is an error with its place, as is what is no history. No global state; one struct a file.
 */
#ifndef DISSEVER_LOAD_H
#define DISSEVER_LOAD_H

#include <stddef.h>
#include <stdint.h>

#include "columns.h"
#include "micro.h"

#define LOAD_DEPTH_MAX 100        /* levels of lists and maps */
#define LOAD_TEXT_BYTES_MAX 16777216
#define LOAD_DIGITS_MAX 4000      /* of one number; Python refuses more */
#define LOAD_ITEMS_MAX 16777216   /* of one list or map */
#define LOAD_NAMES_MAX 65535      /* distinct f; distinct nodes */
#define LOAD_FIELDS_MAX 256       /* distinct fields that were left out; the rest count as one */
#define LOAD_TIME_MAX 3155760000000000000 /* of events, before and after 0: 100 years in ns */
#define LOAD_MESSAGE_BYTES 256

enum load_status {
    LOAD_OK = 0,
    LOAD_SYNTAX = 1,    /* no history in any format, or past a limit */
    LOAD_MALFORMED = 2, /* a history that no run can have */
    LOAD_NO_MEMORY = 3
};

enum load_format {
    LOAD_JSON_LINES = 0,
    LOAD_EDN = 1,
    LOAD_LOG = 2,
    LOAD_JSON_ARRAY = 3,
    LOAD_JSON_OBJECTS = 4,
    LOAD_DBCOP_JSON = 5,
    LOAD_DBCOP_TEXT = 6,
    LOAD_PLUME = 7
};

enum load_event_type {
    LOAD_EVENT_INVOKE = 0,
    LOAD_EVENT_OK = 1,
    LOAD_EVENT_FAIL = 2,
    LOAD_EVENT_INFO = 3
};

/* How `words` is read: as the integer itself, as the bits of a double, or as an offset in `bytes`.
 * At the offset stand a uint32_t, the length in bytes, and then what the tag says. */
enum load_tag {
    LOAD_NIL = 0,
    LOAD_FALSE = 1,
    LOAD_TRUE = 2,
    LOAD_INTEGER = 3,
    LOAD_FLOAT = 4,
    LOAD_TEXT = 5, /* UTF-8 */
    LOAD_LARGE = 6, /* decimal digits of an integer of more than 64 bits */
    LOAD_LIST = 7, /* int32_t ids of the items */
    LOAD_MAP = 8,  /* int32_t ids, key and value by turns, by rising id of the key */
    LOAD_JSON_TEXT = 9 /* JSON as it is written: a value of an event of a nemesis */
};

/* Distinct values by id. */
struct load_values {
    int32_t n;
    const uint8_t *tags;
    const int64_t *words;
    const uint8_t *bytes;
    size_t bytes_n;
};

enum load_transactions {
    LOAD_NO_TRANSACTIONS = 0,
    LOAD_TRANSACTIONS = 1,      /* every operation of a client is one */
    LOAD_ANY_TRANSACTIONS = 2 /* as the first operation that is not empty looks */
};

/*
 * A value of a transaction that says other things than its row. `first` and `count` are places in
 * the arrays of `struct micro`, beyond its own; count -1: an invocation that holds the answers of
 * its completion.
 */
struct load_row {
    int64_t first;
    int32_t count;
    int32_t operation;
    int32_t is_completion;
};

/* What columns do not say of an event. `event` is its index; ids are those of the values. */
struct load_detail {
    int32_t operation;
    int32_t event;
    int32_t is_completion;
    int32_t value; /* of a completion */
    int32_t key;   /* of a completion: an id of a value; it should be that of the invocation */
    int32_t node;  /* of a completion */
    int32_t error; /* 0 for none */
};

/* An event of a nemesis. Ids are those of the values, except for f and node. */
struct load_nemesis_event {
    int64_t time;
    int32_t index;
    int32_t process; /* its name */
    int32_t type;    /* a load_event_type */
    int32_t f;
    int32_t value;
    int32_t key;
    int32_t node;
    int32_t error;
};

struct loaded {
    int32_t status; /* a load_status; unless LOAD_OK, the columns are not to be used */
    int32_t format; /* a load_format */
    uint64_t line;  /* of the error, counted from 1 */
    uint64_t column; /* in bytes, counted from 1 */
    int64_t index;  /* of the event that is malformed; else -1 */
    const char *message; /* not necessarily UTF-8 */

    int64_t events;     /* all that were read */
    int64_t last_time;  /* of the last event, in ns; 0 without events */
    int32_t open_max;   /* operations that were open at once, at most */
    int64_t untimed;    /* events without a time: 1 ms after the one before */
    int64_t backwards;  /* events dated before the one above them: 1 ns after it */
    int64_t backwards_index; /* of the first of those */
    int64_t gaps;       /* places where the index leaves numbers out */
    int64_t gap_index;  /* after which it does so first */
    int64_t misnumbered; /* the first position whose index is another number; else -1 */
    int64_t renamed;    /* processes that go on after an info: each counts as a new one */
    int64_t renamed_first; /* the number of the first of them; the others follow */
    int64_t renamed_index; /* of the event with which the first begins */
    int64_t other_lines; /* lines of a log that hold no event */
    uint64_t other_line; /* the first of them */
    uint64_t cut_line;  /* a last line that is cut off and was left out; else 0 */
    int32_t timeless;   /* neither times nor positions order events of different processes */
    int64_t uncommitted; /* transactions of formats without events that were not committed */
    int64_t zeros;       /* reads of 0 there that count as reads of the initial value */

    struct columns columns;
    const uint16_t *node; /* of each invocation: an id in nodes, where 0 is nil */
    struct load_values values, fs, nodes, fields;
    struct load_values clients; /* processes with a name that are clients */
    int64_t clients_first;      /* the number of the first of them; the others follow */
    const int64_t *field_counts; /* how often each of fields was left out */
    struct load_values keys; /* integers, each the id of a value; the first is nil */
    int32_t has_rows;        /* a history of transactions: `micro` is set */
    struct micro micro;
    /* In such a history the id values.n + 2 * operation is the value of an invocation, and the id
     * after it the value of its completion; rows_n values say other things than the row. */
    int64_t rows_n;
    const struct load_row *rows; /* by rising operation, the invocation first */
    int32_t details_n;
    const struct load_detail *details;
    int32_t nemesis_events_n;
    const struct load_nemesis_event *nemesis_events;
};

/*
 * Read a history. The data may be dropped afterwards.
 *
 * is_mapped: the data are a file that is mapped and nobody changes, from the start of a page on.
 * Pages that were read are given back meanwhile. keyed: values of clients are pairs [key value]; in logs this means nothing. transactions: a
 * load_transactions; of keyed values none. seed: of the hash tables; the result does not depend on
 * it. Returns NULL only without memory for the struct itself.
 */
struct loaded *load_open(const uint8_t *data, size_t size, int32_t is_mapped, int32_t keyed,
                         int32_t transactions, uint64_t seed);

void load_close(struct loaded *loaded);

#endif
