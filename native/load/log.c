/*
 * log.c: logs with operations in their lines: Jepsen's history.txt, jepsen.log and console, and
 * Porcupine's logs of Jepsen runs against etcd.
 *
 * An operation is `<process> :<type> :<f> <value> <error>`, tabs or spaces between, whatever stands
 * before it in its line. The value is EDN. A keyword in place of the value of a completion that is
 * not ok is an error, such as :timed-out. A line may also be a map of EDN or an object of JSON.
 * Lines that hold no operation are left out and counted.
 *
 * Source: Jepsen, `util.clj`, `op->str`; Porcupine, `test_data/jepsen/`.
 */
#include "edn.h"
#include "rows.h"

/* The bytes from a place to the next blank. */
static struct span word_at(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *start = at;
    while (at < end && !is_blank(*at))
        at++;
    return (struct span){start, (size_t)(at - start)};
}

/* The word that ends, apart from blanks, before a place; empty where there is none. */
static struct span word_before(const uint8_t *line, const uint8_t *at)
{
    while (at > line && is_blank(at[-1]))
        at--;
    const uint8_t *end = at;
    while (at > line && !is_blank(at[-1]))
        at--;
    return (struct span){at, (size_t)(end - at)};
}

static bool is_number(struct span word)
{
    for (size_t i = 0; i < word.length; i++)
        if (!is_digit(word.at[i]))
            return false;
    return word.length > 0;
}

/* Whether nothing but the name of Jepsen's logger stands between the line's start and a process. */
static bool is_logged(const uint8_t *line, const uint8_t *process)
{
    static const char logger[] = "jepsen.util";
    struct span before = word_before(line, process);
    if (before.length == 1 && *before.at == '-')
        before = word_before(line, before.at);
    before.length -= before.length && before.at[before.length - 1] == ':';
    return !before.length || SPAN_IS(before, logger);
}

/* Whether a process can be named so. A word without a colon must stand where processes stand. */
static bool is_process(const uint8_t *line, struct span word)
{
    if (!word.length)
        return false;
    return is_number(word) || (*word.at == ':' && word.length > 1) || is_logged(line, word.at);
}

/* The parts of an operation in a line: no bytes stand for a part that is missing. */
struct parts {
    struct span process, type, f;
    const uint8_t *rest;
};

/*
 * Find the first keyword that follows a process and that a name follows. Where several do, the
 * first that is a type counts. Returns whether one was found.
 */
static bool find_parts(const uint8_t *line, const uint8_t *end, struct parts *parts)
{
    bool is_found = false;
    for (const uint8_t *at = line; (at = memchr(at, ':', (size_t)(end - at))); at++) {
        if (at == line || !is_blank(at[-1]))
            continue;
        struct span type = word_at(at + 1, end), process = word_before(line, at);
        const uint8_t *next = skip_blank(type.at + type.length, end);
        bool is_apart = next < end && next > type.at + type.length;
        if (!is_apart || (*next != ':' && *next != '"') || !is_process(line, process))
            continue;
        bool is_type = event_type_of(type) != EVENT_NONE;
        if (is_found && !is_type)
            continue;
        *parts = (struct parts){process, type, word_at(next, end), next};
        is_found = true;
        if (is_type)
            break;
    }
    return is_found;
}

static bool log_process(struct load *l, struct event *event, struct span word)
{
    event->has_process = true;
    event->is_client = is_number(word);
    if (!event->is_client) {
        while (word.length && *word.at == ':')
            word = (struct span){word.at + 1, word.length - 1};
        return event_set_named(l, event, word);
    }
    for (size_t i = 0; i < word.length && i < 18; i++)
        event->process = event->process * 10 + (word.at[i] - '0');
    return event_set_number(l, event, word);
}

/* The rest of the line as one form, or as the text that it is; 0 where nothing is left. */
static int32_t log_rest(struct load *l)
{
    const uint8_t *start = l->at = skip_blank(l->at, l->end);
    const uint8_t *end = l->end;
    while (end > start && is_blank(end[-1]))
        end--;
    if (start == end)
        return 0;
    int32_t id = -1;
    if (edn_next(l, 0) == EDN_FORM)
        id = edn_form(l, 0);
    bool is_whole = id >= 0 && edn_next(l, 0) == EDN_END;
    if (is_whole || l->loaded.status == LOAD_NO_MEMORY)
        return id;
    l->loaded.status = LOAD_OK;
    l->message[0] = 0;
    l->stack_n = 0;
    l->at = l->end;
    return value_of_text(l, (struct span){start, (size_t)(end - start)});
}

/* Read what follows f. What nobody compares may be written in any way. */
static bool log_value(struct load *l, struct event *event)
{
    if (!event->is_client) {
        event->value = log_rest(l);
        return event->value >= 0;
    }
    bool may_be_error = event->type == LOAD_EVENT_FAIL || event->type == LOAD_EVENT_INFO;
    size_t from = l->stack_n;
    enum edn_next next = edn_next(l, 0);
    if (next == EDN_FORM && may_be_error && *l->at == ':') {
        event->error = log_rest(l);
        return event->error >= 0;
    }
    if (next == EDN_FORM && rows_begin(l, event)) {
        if (!rows_value(l, event, &edn_notation))
            return false;
    } else if (next == EDN_FORM && l->keyed && *l->at == '[') {
        const uint8_t *start = l->at++;
        if (!edn_items(l, ']', start, 1) || !event_pop_pair(l, event, from))
            return false;
    } else if (next == EDN_FORM && !edn_any(l, &event->value)) {
        return false;
    } else if (next == EDN_CLOSE) {
        return edn_fail(l, "a form");
    } else if (next == EDN_ERROR) {
        return false;
    }
    event->error = log_rest(l);
    return event->error >= 0 && (!l->keyed || event_divide(l, event));
}

static bool log_event(struct load *l, const uint8_t *line, const struct parts *parts)
{
    struct event event = {.at = line, .f = -1, .type = event_type_of(parts->type)};
    struct span f = parts->f;
    if (event.type == EVENT_NONE)
        return load_fail(l, LOAD_SYNTAX, parts->type.at,
                         "expected :invoke, :ok, :fail or :info after the process, got ':%.*s'",
                         SPAN_SHOWN(parts->type));
    l->at = parts->rest;
    l->stack_n = 0;
    return log_process(l, &event, parts->process) && edn_text(l, "a name as f", &f) &&
           event_set_f(l, &event, f) && log_value(l, &event) && load_record(l, &event);
}

/*
 * Whether a line is an event that is a map. Jepsen's log also holds maps of several lines, which
 * are a test's settings or results, and maps of other things.
 */
static bool is_event_map(const uint8_t *line, const uint8_t *end)
{
    if (end - line < 2 || line[0] != '{' || (line[1] != '"' && line[1] != ':'))
        return false;
    return speaks_of(line, end, "process") && speaks_of(line, end, "type") &&
           !json_is_nested(line, end);
}

/* Whether a last line ends in an operation: after a process, in the type after it, in a map. */
static bool ends_in_operation(const uint8_t *line, const uint8_t *end)
{
    struct span last = word_before(line, end);
    if (is_number(last))
        return is_logged(line, last.at);
    if (line[0] == '{')
        return true;
    return last.length && *last.at == ':' && is_logged(line, word_before(line, last.at).at);
}

static bool log_line(struct load *l, uint64_t number, bool is_ended)
{
    const uint8_t *line = l->at;
    struct parts parts;
    bool is_map = is_event_map(line, l->end);
    bool is_found = find_parts(line, l->end, &parts);
    /* Prose may look like an operation of an unknown type, except where operations stand. */
    bool is_operation = is_found && (event_type_of(parts.type) != EVENT_NONE ||
                                     (is_number(parts.process) &&
                                      is_logged(line, parts.process.at)));
    if (!is_map && !is_operation) {
        if (!is_ended && ends_in_operation(line, l->end))
            l->loaded.cut_line = number;
        else if (!l->loaded.other_lines++)
            l->loaded.other_line = number;
        return true;
    }
    const uint8_t *valid_end = utf8_end(line, l->end);
    if (valid_end != l->end)
        return load_fail(l, LOAD_SYNTAX, valid_end, "expected UTF-8");
    if (is_map)
        return line[1] == '"' ? json_line(l) : edn_line(l);
    return log_event(l, line, &parts);
}

bool log_lines(struct load *l)
{
    const uint8_t *file_end = l->end;
    uint64_t number = 1;
    for (; l->at < file_end; l->at = l->end + (l->end < file_end), number++) {
        const uint8_t *newline = memchr(l->at, '\n', (size_t)(file_end - l->at));
        l->end = newline ? newline : file_end;
        l->at = skip_blank(l->at, l->end);
        if (l->at < l->end && !log_line(l, number, newline != NULL))
            return false;
    }
    l->end = file_end;
    const uint8_t *start = skip_blank(l->begin, file_end);
    return l->loaded.events || load_fail(l, LOAD_SYNTAX, start,
        "expected a history: JSON, EDN, or lines of <process> :<type> :<f> <value>; "
        "no line holds an operation");
}
