/*
 * etcd.c: Porcupine's logs of Jepsen runs against etcd.
 *
 * `INFO  jepsen.util - <process> :<type> :<f> <value>`, tabs or spaces between. The value is EDN. A
 * keyword in its place, such as :timed-out, is an error.
 *
 * Source: Porcupine, `test_data/jepsen/`.
 */
#include "edn.h"
#include "record.h"

static inline bool etcd_is_word(uint8_t c)
{
    return is_digit(c) || edn_is_letter(c) || c == '_' || c == '-' || c >= 0x80;
}

static void etcd_blank(struct load *l)
{
    while (l->at < l->end && is_blank(*l->at))
        l->at++;
}

/* The bytes up to the next blank. */
static struct span etcd_word(struct load *l)
{
    const uint8_t *start = l->at;
    while (l->at < l->end && !is_blank(*l->at))
        l->at++;
    return (struct span){start, (size_t)(l->at - start)};
}

/* The next keyword after blanks, without its colon; empty when there is none. */
static struct span etcd_keyword(struct load *l)
{
    const uint8_t *before = l->at;
    etcd_blank(l);
    struct span word = {l->at + 1, 0};
    if (l->at == before || l->at == l->end || *l->at != ':')
        return (struct span){before, 0};
    for (l->at++; l->at < l->end && etcd_is_word(*l->at); l->at++)
        word.length++;
    return word;
}

/* Read a process: all digits, or a nemesis. */
static bool etcd_process(struct load *l, struct event *event)
{
    struct span word = etcd_word(l);
    event->has_process = word.length > 0;
    event->is_client = word.length > 0;
    for (size_t i = 0; i < word.length; i++)
        event->is_client = event->is_client && is_digit(word.at[i]);
    if (!event->is_client) {
        while (word.length && *word.at == ':')
            word = (struct span){word.at + 1, word.length - 1};
        return event_set_named(l, event, word);
    }
    if (word.length > 10)
        return load_fail(l, LOAD_SYNTAX, word.at, "expected a process of 32 bits");
    for (size_t i = 0; i < word.length; i++)
        event->process = event->process * 10 + (word.at[i] - '0');
    return true;
}

/* Read the rest of a line: the first form counts, the others must be well-formed. */
static bool etcd_value(struct load *l, struct event *event)
{
    enum edn_next next = edn_next(l, 0);
    if (next == EDN_FORM) {
        bool is_error = *l->at == ':';
        if (!edn_any(l, is_error ? &event->error : &event->value))
            return false;
        l->skips = true;
        while ((next = edn_next(l, 0)) == EDN_FORM)
            if (edn_form(l, 0) < 0)
                return false;
        l->skips = false;
    }
    return next == EDN_END || (next == EDN_CLOSE && edn_fail(l, "a form"));
}

static bool etcd_line(struct load *l)
{
    static const char logger[] = "jepsen.util - ";
    struct event event = {.at = l->at, .f = -1, .type = EVENT_NONE};
    struct span level = etcd_word(l);
    etcd_blank(l);
    bool is_event = level.length && (size_t)(l->end - l->at) >= sizeof logger - 1 &&
                    memcmp(l->at, logger, sizeof logger - 1) == 0;
    l->at += is_event ? sizeof logger - 1 : 0;
    if (is_event && !etcd_process(l, &event))
        return false;
    struct span type = etcd_keyword(l), f = etcd_keyword(l);
    if (!is_event || !event.has_process || !type.length || !f.length)
        return load_fail(l, LOAD_SYNTAX, event.at,
                         "expected INFO jepsen.util - <process> <type> <f> <value>");
    event.type = event_type_of(type);
    if (event.type == EVENT_NONE)
        return load_fail(l, LOAD_SYNTAX, type.at, "expected a type, got ':%.*s'", SPAN_SHOWN(type));
    l->stack_n = 0;
    return event_set_f(l, &event, f) && etcd_value(l, &event) && load_record(l, &event);
}

bool etcd_lines(struct load *l)
{
    const uint8_t *file_end = l->end;
    for (; l->at < file_end; l->at = l->end + (l->end < file_end)) {
        const uint8_t *newline = memchr(l->at, '\n', (size_t)(file_end - l->at));
        l->end = newline ? newline : file_end;
        etcd_blank(l);
        if (l->at < l->end && !etcd_line(l))
            return false;
    }
    return true;
}

bool etcd_is_log(const uint8_t *at, const uint8_t *end)
{
    static const char *const levels[] = {"INFO", "WARN", "ERROR", "DEBUG"};
    while (at < end && is_blank(*at))
        at++;
    for (int i = 0; i < 4; i++) {
        size_t length = strlen(levels[i]);
        if ((size_t)(end - at) >= length && memcmp(at, levels[i], length) == 0)
            return (size_t)(end - at) == length ||
                   at[length] == '-' || !etcd_is_word(at[length]);
    }
    return false;
}
