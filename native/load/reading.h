/*
 * reading.h: the state of one reading, which the files of this folder share.
 *
 * `load_open` makes it and `load_close` frees it with all that hangs on it (formats.c); no other
 * file frees a part. `at` moves from `begin` to `end`, which is a line's end where lines are read.
 */
#ifndef DISSEVER_READING_H
#define DISSEVER_READING_H

#include "intern.h"

/* A run of bytes of the input, or of a value; it owns nothing. */
struct span {
    const uint8_t *at;
    size_t length;
};

#define SPAN_IS(span, literal)                                                                     \
    ((span).length == sizeof(literal) - 1 && memcmp((span).at, literal, sizeof(literal) - 1) == 0)

/* For messages: at most 40 bytes of a span. */
#define SPAN_SHOWN(span) (int)((span).length < 40 ? (span).length : 40), (const char *)(span).at

/* Ids of short names, by a hash of the name. */
struct name_cache {
    uint64_t words[16]; /* 0 is empty: a name's word holds its length */
    int32_t ids[16];
};

/* The columns of columns.h, with the types of their items. */
#define LOAD_COLUMNS(X)                                                                            \
    X(int8_t, type)                                                                                \
    X(int32_t, process) X(uint16_t, f) X(int32_t, key)                                             \
    X(int32_t, value_in) X(int32_t, value_out) X(int32_t, a) X(int32_t, b)                         \
    X(int32_t, inv) X(int32_t, ret) X(int64_t, inv_time) X(int64_t, ret_time)

#define LOAD_COLUMN(item, column) item *column;

struct process;
struct alias;
struct list_key;
struct list_version;
struct row_item;
struct row_late;

/* What lists.c keeps. */
struct lists {
    struct list_key *keys;
    size_t keys_n, keys_capacity;
    struct list_version *versions; /* every longest list that a key ever had */
    size_t versions_n, versions_capacity;
    int32_t *others; /* items of lists that are no beginnings of the longest list of their key */
    size_t others_n, others_capacity;
    int64_t *ends; /* scratch: where the items of a text end */
    size_t ends_capacity;
};

/* What rows.c keeps: the arrays of micro.h, as they grow, and what is not decided yet. */
struct rows {
    int32_t asked, mode; /* a load_transactions: what the caller said, and what is known by now */
    bool is_refused;     /* it was read as transactions, and is no such history */
    struct intern keys;  /* integers, each the id of a value */
    int32_t *key_of; /* id of a value -> its number in keys, and 1; 0 for none */
    size_t key_of_n, key_of_capacity;
    struct intern ended; /* session and number of every transaction, where they have numbers */
    int64_t *first;
    size_t first_capacity;
    size_t n, capacity; /* of the five arrays */
    uint8_t *kind;
    int32_t *key, *value, *length;
    int64_t *list;
    struct row_item *read; /* the row that was read last */
    size_t read_n, read_capacity;
    struct row_late *late; /* values to be read at the end */
    size_t late_n, late_capacity;
    struct load_row *others; /* what became of those */
    int32_t *key_values, *items, *longest_length;
    int64_t *longest;
};

struct load {
    struct loaded loaded; /* first: the caller holds a pointer to it */
    char message[LOAD_MESSAGE_BYTES];
    const uint8_t *begin, *at, *end;
    const uint8_t *released; /* of a mapped file: what is before was given back; else NULL */
    bool keyed;
    bool skips;    /* what is read now is not interned */
    bool is_whole; /* the line is an event, whatever else is wrong */

    struct intern values, fs, nodes, fields, keys;
    struct name_cache fs_cache, nodes_cache;
    int64_t *field_counts;
    uint8_t *text; /* a text with its escapes resolved */
    size_t text_capacity;
    int32_t *stack; /* items of the lists and maps that are open */
    size_t stack_n, stack_capacity;

    struct intern clients;   /* names of processes that are clients; from the reading before */
    int64_t clients_first;   /* the number of the first of them */
    struct intern processes; /* of clients */
    struct process *open;    /* by process in that table: see record.c */
    size_t open_capacity;
    struct alias *aliases; /* operations of processes that went on after an info */
    size_t aliases_n, aliases_capacity;
    int64_t last_index;
    int64_t last_process, switches; /* from one client's event to another's */
    const uint8_t *backwards_at;    /* the first event that is dated before the one above it */
    int32_t open_n; /* operations that are open now */

    size_t capacity; /* of every column, and of node */
    LOAD_COLUMNS(LOAD_COLUMN)
    uint16_t *node;
    int32_t n;
    struct lists lists;
    struct rows rows;
    struct load_detail *details;
    size_t details_n, details_capacity;
    struct load_nemesis_event *nemesis_events;
    size_t nemesis_events_n, nemesis_events_capacity;
};

/*
 * Set the status, the message and the place of an error, unless there is one already. `at` lies in
 * the input, its end included. Returns false.
 */
__attribute__((format(printf, 4, 5))) bool load_fail(struct load *l, int32_t status,
                                                     const uint8_t *at, const char *format, ...);

/* As load_fail, with LOAD_NO_MEMORY. */
bool load_no_memory(struct load *l);

/* As load_fail, with LOAD_SYNTAX; gives -1, which is no id. */
#define NO_ID(l, ...) (load_fail(l, LOAD_SYNTAX, __VA_ARGS__), -1)

/*
 * Of a mapped file: give back the memory of the pages before a place, once there are some. They are
 * read from the file again if somebody looks there.
 */
void load_release(struct load *l, const uint8_t *before);

/* The end of what is UTF-8 of all that is left. */
const uint8_t *load_utf8_end(struct load *l);

/*
 * The readers of the formats: from `at` to `end`, every event is recorded. They return false with
 * the error set. The input must be UTF-8, except that of json_lines and log_lines.
 *
 * json_lines: our own, one object a line; its fields are those of `Event`, index and time may be
 * missing. A last line that is cut off is no error: `cut_line` says so. json_whole: such objects
 * from elsewhere, in an array or one after another. edn_history: maps of Jepsen and Knossos and
 * Porcupine's texts, one after another or in vectors. log_lines: see log.c.
 */
bool json_lines(struct load *l);
bool json_whole(struct load *l);
bool edn_history(struct load *l);
bool log_lines(struct load *l);

/* Those of sessions.c, and what tells them: JSON and text of dbcop, text of Plume and PolySI. */
bool sessions_json(struct load *l);
bool sessions_text(struct load *l);
bool sessions_lines(struct load *l);
bool sessions_are_json(const uint8_t *at, const uint8_t *end);
bool sessions_are_text(const uint8_t *at, const uint8_t *end);
bool sessions_are_lines(const uint8_t *at, const uint8_t *end);

/* Read the one event of a line, which must be UTF-8. */
bool json_line(struct load *l);
bool edn_line(struct load *l);

/* Whether what begins here with a brace is an object of JSON, not a map of EDN. */
bool json_is_object(const uint8_t *at, const uint8_t *end);

/* Whether the object that begins here goes on after its line. */
bool json_is_pretty(const uint8_t *at, const uint8_t *end);

/* Whether what holds the object or map that begins here ends in the same line: "{} ])". */
bool json_is_nested(const uint8_t *at, const uint8_t *end);

/* Whether bytes hold a word. */
bool speaks_of(const uint8_t *at, const uint8_t *end, const char *word);

#endif
