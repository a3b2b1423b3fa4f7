/*
 * sessions.c: formats of transactions without events: dbcop's JSON and its text, and the text of
 * Plume and PolySI.
 *
 * They say which transactions a session made, one after the other, and nothing of the order of
 * different sessions. A session becomes a process, and each transaction an invocation with its
 * completion: ok if it was committed, else failed. Version 0 is the initial value if nobody writes
 * it, and null or `?` always is.
 *
 * Source: dbcop, `crates/core/src/history/raw/` and `crates/parser`; Plume, `history/loader`;
 * PolySI, `TextHistoryLoader`.
 */
#include "json.h"
#include "rows.h"

/* Whether JSON of dbcop begins here: its sessions, or an object that has them as its data. */
bool sessions_are_json(const uint8_t *at, const uint8_t *end)
{
    static const char *const fields[] = {"\"params\"", "\"info\"", "\"start\"", "\"end\"",
                                         "\"data\""};
    const uint8_t *inside = skip_blank(at + 1, end);
    if (*at == '{') {
        bool is_known = false;
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
            size_t length = strlen(fields[i]);
            is_known |= (size_t)(end - inside) >= length && memcmp(inside, fields[i], length) == 0;
        }
        return is_known && speaks_of(at, end, "\"data\"") && speaks_of(at, end, "\"events\"");
    }
    if (inside == end || *inside != '[')
        return false;
    while (inside < end && (is_blank(*inside) || strchr("[],", *inside)))
        inside++;
    if (inside == end || *inside != '{')
        return false;
    inside = skip_blank(inside + 1, end);
    struct span name = {inside, (size_t)(end - inside) < 8 ? (size_t)(end - inside) : 8};
    return (name.length == 8 && memcmp(name.at, "\"events\"", 8) == 0) ||
           (name.length == 8 && memcmp(name.at, "\"committ", 8) == 0);
}

/* After blanks and comments of dbcop's text. */
static const uint8_t *after_comments(const uint8_t *at, const uint8_t *end)
{
    at = skip_blank(at, end);
    while (end - at >= 2 && at[0] == '/' && at[1] == '/') {
        const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
        at = skip_blank(newline ? newline : end, end);
    }
    return at;
}

/* After comments, lines of dashes and empty transactions of dbcop's text. */
static const uint8_t *first_filled(const uint8_t *at, const uint8_t *end)
{
    for (;;) {
        at = after_comments(at, end);
        const uint8_t *inside = at < end && *at == '[' ? skip_blank(at + 1, end) : end;
        if (at < end && *at == '-')
            at++;
        else if (inside < end && *inside == ']')
            at = inside + 1 + (end - inside > 1 && inside[1] == '!');
        else
            return at;
    }
}

/* Whether dbcop's text begins here: [x:=1 y==2]. */
bool sessions_are_text(const uint8_t *at, const uint8_t *end)
{
    at = first_filled(at, end);
    if (at == end || *at != '[')
        return false;
    while (++at < end && !strchr("]\"[\n", *at))
        if (end - at > 1 && at[1] == '=' && (*at == ':' || *at == '='))
            return true;
    return false;
}

/* Whether a line of Plume or PolySI begins here: r(1,2,3,4). */
bool sessions_are_lines(const uint8_t *at, const uint8_t *end)
{
    return end - at > 2 && (*at == 'r' || *at == 'w') && at[1] == '(' &&
           (is_digit(at[2]) || at[2] == '-');
}

/* Begin a transaction, of which no micro-operation was read yet. */
static void begin(struct load *l)
{
    l->rows.read_n = 0;
    l->stack_n = 0;
}

/* Record the transaction whose micro-operations were added since it began. */
static bool commit(struct load *l, const uint8_t *at, int64_t session, bool is_committed)
{
    int32_t types[] = {LOAD_EVENT_INVOKE, is_committed ? LOAD_EVENT_OK : LOAD_EVENT_FAIL};
    l->loaded.uncommitted += !is_committed;
    for (int i = 0; i < 2; i++) {
        struct event event = EVENT_EMPTY;
        event.at = at;
        event.type = types[i];
        event.process = session;
        event.has_process = event.is_client = true;
        rows_compose(l, &event);
        if (!event_set_f(l, &event, (struct span){(const uint8_t *)"txn", 3}) ||
            !load_record(l, &event))
            return false;
    }
    return true;
}

/* Add {"variable": x, "version": v}. */
static bool json_version(struct load *l, enum micro_kind kind)
{
    int32_t key = -1, version = kind == MICRO_READ ? 0 : -1;
    const uint8_t *start = l->at;
    struct span name;
    bool is_first = true;
    if (!json_byte(l, '{', "'{'"))
        return false;
    for (;; is_first = false) {
        json_blank(l);
        if (l->at < l->end && *l->at == '}')
            break;
        if ((!is_first && !json_byte(l, ',', "',' or '}'")) ||
            !json_text(l, "\"variable\" or \"version\"", &name))
            return false;
        bool is_key = SPAN_IS(name, "variable"), is_version = SPAN_IS(name, "version");
        if (!json_byte(l, ':', "':'"))
            return false;
        int32_t value = json_value(l, 4);
        if (value < 0)
            return false;
        key = is_key ? value : key;
        version = is_version ? value : version;
    }
    l->at++;
    if (key < 0 || version < 0)
        return load_fail(l, LOAD_SYNTAX, start, "expected {\"variable\": x, \"version\": v}");
    return rows_add(l, (uint8_t)kind, key, version);
}

/* Add the micro-operations of a list of {"Write": …} and {"Read": …}. */
static bool json_events(struct load *l)
{
    const uint8_t *start = l->at;
    bool is_first = true;
    if (!json_byte(l, '[', "'['"))
        return false;
    for (; json_notation.more(l, start, 3, is_first); is_first = false) {
        struct span name;
        const uint8_t *at = l->at;
        if (!json_byte(l, '{', "'{'") || !json_text(l, "\"Read\" or \"Write\"", &name))
            return false;
        bool is_read = SPAN_IS(name, "Read");
        if (!is_read && !SPAN_IS(name, "Write"))
            return load_fail(l, LOAD_SYNTAX, at, "expected \"Read\" or \"Write\", got \"%.*s\"",
                             SPAN_SHOWN(name));
        if (!json_byte(l, ':', "':'") || !json_version(l, is_read ? MICRO_READ : MICRO_WRITE) ||
            !json_byte(l, '}', "'}'"))
            return false;
    }
    return l->loaded.status == LOAD_OK;
}

/* Read {"events": […], "committed": …}; other fields are left out. */
static bool json_transaction(struct load *l, int64_t session)
{
    const uint8_t *start = l->at;
    bool is_committed = true, has_events = false;
    struct span name;
    begin(l);
    if (!json_byte(l, '{', "a transaction"))
        return false;
    for (bool is_first = true;; is_first = false) {
        json_blank(l);
        if (l->at < l->end && *l->at == '}')
            break;
        if ((!is_first && !json_byte(l, ',', "',' or '}'")) || !json_text(l, "a field", &name))
            return false;
        bool is_events = SPAN_IS(name, "events"), says = SPAN_IS(name, "committed");
        if (!json_byte(l, ':', "':'"))
            return false;
        json_blank(l);
        const uint8_t *at = l->at;
        if (is_events && has_events)
            return load_fail(l, LOAD_SYNTAX, at, "a transaction has the field events twice");
        if (is_events ? !json_events(l) : json_value(l, 2) < 0)
            return false;
        struct span value = {at, (size_t)(l->at - at)};
        has_events |= is_events;
        if (says && !SPAN_IS(value, "true") && !SPAN_IS(value, "false"))
            return load_fail(l, LOAD_SYNTAX, at, "expected true or false as committed");
        is_committed = says ? SPAN_IS(value, "true") : is_committed;
    }
    l->at++;
    if (!has_events)
        return load_fail(l, LOAD_SYNTAX, start, "a transaction has no events");
    return commit(l, start, session, is_committed);
}

/* Read the list of sessions, each of which is a list of transactions. */
static bool json_sessions(struct load *l)
{
    const uint8_t *start = l->at;
    int64_t session = 0;
    if (!json_byte(l, '[', "a list of sessions"))
        return false;
    for (; json_notation.more(l, start, 1, session == 0); session++) {
        const uint8_t *list = l->at;
        if (!json_byte(l, '[', "a session"))
            return false;
        for (bool is_first = true; json_notation.more(l, list, 1, is_first); is_first = false)
            if (!json_transaction(l, session))
                return false;
        if (l->loaded.status != LOAD_OK)
            return false;
    }
    return l->loaded.status == LOAD_OK;
}

bool sessions_json(struct load *l)
{
    struct span name;
    bool is_first = true, has_data = false;
    json_blank(l);
    if (*l->at == '[') {
        if (!json_sessions(l))
            return false;
    } else {
        for (l->at++;; is_first = false) {
            json_blank(l);
            if (l->at < l->end && *l->at == '}')
                break;
            if ((!is_first && !json_byte(l, ',', "',' or '}'")) || !json_text(l, "a field", &name))
                return false;
            bool is_data = SPAN_IS(name, "data");
            if (!json_byte(l, ':', "':'"))
                return false;
            if (is_data && has_data)
                return load_fail(l, LOAD_SYNTAX, l->at, "the history has the field data twice");
            json_blank(l);
            if (is_data ? !json_sessions(l) : json_value(l, 1) < 0)
                return false;
            has_data |= is_data;
        }
        l->at++;
    }
    json_blank(l);
    return l->at == l->end || json_fail(l, "the end of the text");
}

/* A run of letters, digits, dots and underscores; an integer where it is one, else a text. */
static int32_t text_name(struct load *l)
{
    struct span name = {l->at, 0};
    bool is_number = true;
    for (; l->at < l->end && !is_blank(*l->at) && !strchr("[]:=?!", *l->at); l->at++)
        is_number &= is_digit(*l->at) || (l->at == name.at && *l->at == '-');
    name.length = (size_t)(l->at - name.at);
    is_number &= name.length > (*name.at == '-');
    if (!name.length)
        return NO_ID(l, l->at, "expected a name");
    return is_number && name.length <= LOAD_DIGITS_MAX ? value_of_integer(l, name)
                                                       : value_of_text(l, name);
}

/* Read x:=1, x==2 or x==?. */
static bool text_event(struct load *l)
{
    const uint8_t *start = l->at;
    int32_t key = text_name(l), version = 0;
    if (key < 0)
        return false;
    bool is_write = l->end - l->at > 2 && l->at[0] == ':' && l->at[1] == '=';
    bool is_read = l->end - l->at > 2 && l->at[0] == '=' && l->at[1] == '=';
    if (!is_write && !is_read)
        return load_fail(l, LOAD_SYNTAX, start, "expected x:=1, x==2 or x==?");
    l->at += 2;
    if (is_read && *l->at == '?')
        l->at++;
    else
        version = text_name(l);
    return version >= 0 && rows_add(l, is_read ? MICRO_READ : MICRO_WRITE, key, version);
}

bool sessions_text(struct load *l)
{
    int64_t session = 0;
    while ((l->at = after_comments(l->at, l->end)) < l->end) {
        const uint8_t *start = l->at;
        if (*l->at == '-') {
            while (l->at < l->end && *l->at == '-')
                l->at++;
            session++;
            continue;
        }
        if (*l->at++ != '[')
            return load_fail(l, LOAD_SYNTAX, start, "expected a transaction such as [x:=1 y==2]");
        begin(l);
        while ((l->at = skip_blank(l->at, l->end)) < l->end && *l->at != ']')
            if (!text_event(l))
                return false;
        if (l->at == l->end)
            return load_fail(l, LOAD_SYNTAX, start, "'[' is never closed");
        l->at++;
        bool is_open = l->at < l->end && *l->at == '!';
        l->at += is_open;
        if (!commit(l, start, session, !is_open))
            return false;
    }
    return true;
}

/* Read an integer of at most 18 digits and the byte after it. */
static bool line_integer(struct load *l, uint8_t after, int64_t *number)
{
    while (l->at < l->end && *l->at == ' ')
        l->at++;
    bool is_negative = l->at < l->end && *l->at == '-';
    l->at += is_negative;
    const uint8_t *first = l->at;
    for (*number = 0; l->at < l->end && is_digit(*l->at) && l->at - first < 18; l->at++)
        *number = *number * 10 + (*l->at - '0');
    bool is_read = l->at > first && l->at < l->end && *l->at == after;
    l->at += is_read;
    *number = is_negative ? -*number : *number;
    return is_read;
}

bool sessions_lines(struct load *l)
{
    const uint8_t *start = NULL; /* of the transaction that is open */
    int64_t session = 0, transaction = 0, numbers[4];
    struct intern *ended = &l->rows.ended;
    while ((l->at = skip_blank(l->at, l->end)) < l->end) {
        const uint8_t *line = l->at;
        bool is_read = *line == 'r' || *line == 'w';
        l->at += is_read && l->end - line > 1 && line[1] == '(' ? 2 : 0;
        is_read = l->at > line;
        for (int i = 0; is_read && i < 4; i++)
            is_read = line_integer(l, i < 3 ? ',' : ')', &numbers[i]);
        if (!is_read)
            return load_fail(l, LOAD_SYNTAX, line,
                             "expected r(key,value,session,transaction) or w(…), of integers");
        if (!start || numbers[2] != session || numbers[3] != transaction) {
            if (start && !commit(l, start, session, transaction >= 0))
                return false;
            begin(l);
            start = line;
            session = numbers[2];
            transaction = numbers[3];
            int32_t before = ended->n, id = intern_data(ended, LOAD_TEXT, numbers + 2, 16);
            if (id < 0)
                return load_no_memory(l);
            if (id < before && transaction >= 0)
                return load_fail(l, LOAD_SYNTAX, line,
                                 "transaction %lld of session %lld goes on after another began",
                                 (long long)transaction, (long long)session);
        }
        int32_t key = value_of_word(l, LOAD_INTEGER, numbers[0]);
        int32_t value = value_of_word(l, LOAD_INTEGER, numbers[1]);
        if (key < 0 || value < 0 ||
            !rows_add(l, *line == 'r' ? MICRO_READ : MICRO_WRITE, key, value))
            return false;
    }
    return !start || commit(l, start, session, transaction >= 0);
}
