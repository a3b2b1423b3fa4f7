/* See commands.h. Each function reads its fields and answers; NULL is done, text is why not. */
#include "commands.h"

#include "service.h"
#include "simulation.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES_MAX = 64, VALUE_BYTES_MAX = 64, OPTIONS_MAX = 256 };

static const char SHORT[] = "the frame does not have the fields that its kind has";
static const char NO_SERVER[] = "there is no server of that number";
static const char NOT_RUNNING[] = "the server does not run";

/* A frame's fields, and where its answer goes. */
struct request {
    struct simulation *simulation;
    struct input *input;
    struct output *answer;
    bool has_answered; /* with a frame of its own */
};

typedef const char *command_call(struct request *request);

/* The server that the next byte names; NULL: there is none. */
static struct server *get_server(struct request *request)
{
    unsigned number = get_u8(request->input);
    return number < request->simulation->count ? &request->simulation->servers[number] : NULL;
}

static void begin_answer(struct request *request, enum frame_kind kind)
{
    request->has_answered = true;
    frame_begin(request->answer, kind);
}

/* --- The run --- */

static const char *do_begin(struct request *request)
{
    struct simulation *s = request->simulation;
    static char why[NAME_BYTES_MAX + 128];
    char name[NAME_BYTES_MAX], value[VALUE_BYTES_MAX];
    if (s->count)
        return "it has begun already";
    uint64_t seed = get_u64(request->input);
    unsigned count = get_u8(request->input), options = get_u16(request->input);
    if (count < 1 || count > SERVERS_MAX)
        return "it takes 1 to 9 servers";
    s->options = options_default();
    for (unsigned i = 0; i < options && i < OPTIONS_MAX && !request->input->is_short; i++) {
        get_text(request->input, name, sizeof name);
        get_text(request->input, value, sizeof value);
        const char *wrong = options_set(&s->options, name, value);
        if (wrong) {
            snprintf(why, sizeof why, "option %s=%s: %s", name, value, wrong);
            return why;
        }
    }
    if (!input_is_whole(request->input))
        return SHORT;
    if (s->options.heartbeat_ms >= s->options.election_ms)
        return "heartbeat_ms must be less than election_ms";
    const char *wrong = simulation_begin(s, seed, count);
    if (wrong)
        return wrong;
    begin_answer(request, FRAME_READY);
    put_text(request->answer, LIBRARY_NAME);
    frame_end(request->answer);
    return NULL;
}

static const char *do_advance(struct request *request)
{
    struct simulation *s = request->simulation;
    uint64_t until_ns = get_u64(request->input);
    if (!input_is_whole(request->input))
        return SHORT;
    simulation_advance(s, until_ns);
    output_move(&s->output, request->answer);
    s->has_spoken = false;
    begin_answer(request, FRAME_NOW);
    put_u64(request->answer, s->now_ns);
    put_u8(request->answer, simulation_is_idle(s));
    frame_end(request->answer);
    return NULL;
}

static const char *do_reseed(struct request *request)
{
    uint64_t seed = get_u64(request->input);
    if (!input_is_whole(request->input))
        return SHORT;
    simulation_reseed(request->simulation, seed);
    return NULL;
}

static const char *do_end(struct request *request)
{
    const struct simulation *s = request->simulation;
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {
        {"events", s->events_run},
        {"messages", s->messages},
        {"elections", s->invariants.elections},
        {"crashes", s->crashes},
        {"disk-faults", s->faults_of_disks},
        {"snapshots-taken", s->snapshots_taken},
        {"snapshots-installed", s->snapshots_installed},
        {"violations", s->invariants.violations},
        {"commit", s->invariants.max_commit},
        {"virtual-ns", s->now_ns},
    };
    char text[32];
    enum { COUNTERS = sizeof counters / sizeof *counters };
    begin_answer(request, FRAME_SUMMARY);
    put_u16(request->answer, COUNTERS + 1);
    put_text(request->answer, "hash");
    snprintf(text, sizeof text, "%016llx", (unsigned long long)s->hash);
    put_text(request->answer, text);
    for (size_t i = 0; i < COUNTERS; i++) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)counters[i].value);
        put_text(request->answer, counters[i].name);
        put_text(request->answer, text);
    }
    frame_end(request->answer);
    return NULL;
}

/* --- Clients --- */

static const char *do_open(struct request *request)
{
    uint32_t number = get_u32(request->input);
    const struct server *server = get_server(request);
    if (!input_is_whole(request->input))
        return SHORT;
    if (!server)
        return NO_SERVER;
    return connection_open(request->simulation, number, server->number)
               ? NULL
               : "connections are numbered from 1, one after the other";
}

static const char *do_send(struct request *request)
{
    uint32_t number = get_u32(request->input);
    size_t size;
    const uint8_t *bytes = get_blob(request->input, &size);
    if (!input_is_whole(request->input))
        return SHORT;
    return connection_receive(request->simulation, number, bytes, size)
               ? NULL
               : "the connection is not open";
}

static const char *do_close(struct request *request)
{
    uint32_t number = get_u32(request->input);
    if (!input_is_whole(request->input))
        return SHORT;
    return connection_hang_up(request->simulation, number) ? NULL : "there is no such connection";
}

/* --- Processes --- */

static const char *do_start(struct request *request)
{
    struct server *server = get_server(request);
    if (!input_is_whole(request->input))
        return SHORT;
    if (!server)
        return NO_SERVER;
    if (!server->is_running)
        server_start(server);
    return NULL;
}

static const char *do_stop(struct request *request)
{
    struct server *server = get_server(request);
    if (!input_is_whole(request->input))
        return SHORT;
    if (!server)
        return NO_SERVER;
    if (server->is_running)
        server_stop(server);
    return NULL;
}

static const char *do_kill(struct request *request)
{
    struct server *server = get_server(request);
    bool power_failed = get_u8(request->input);
    if (!input_is_whole(request->input))
        return SHORT;
    if (!server)
        return NO_SERVER;
    server->disk.lost = server->disk.kept = 0;
    if (server->is_running)
        server_kill(server, power_failed);
    begin_answer(request, FRAME_KILLED);
    put_u32(request->answer, (uint32_t)server->disk.lost);
    put_u32(request->answer, (uint32_t)server->disk.kept);
    frame_end(request->answer);
    return NULL;
}

static const char *pause_or_resume(struct request *request, bool pauses)
{
    struct server *server = get_server(request);
    if (!input_is_whole(request->input))
        return SHORT;
    if (!server)
        return NO_SERVER;
    if (!server->is_running)
        return NOT_RUNNING;
    if (pauses)
        server_pause(server);
    else
        server_resume(server);
    return NULL;
}

static const char *do_pause(struct request *request)
{
    return pause_or_resume(request, true);
}

static const char *do_resume(struct request *request)
{
    return pause_or_resume(request, false);
}

static unsigned node_of(struct simulation *s, uint64_t id)
{
    const struct server *server = server_of_id(s, id);
    return server ? server->number : FRAME_NOBODY;
}

static void put_members(struct simulation *s, struct output *answer,
                        const struct raft_configuration *configuration)
{
    unsigned count = configuration && configuration->n < 256 ? configuration->n : 0;
    put_u8(answer, count);
    for (unsigned i = 0; i < count; i++) {
        put_u8(answer, node_of(s, configuration->servers[i].id));
        put_u8(answer, (unsigned)configuration->servers[i].role);
    }
}

static const char *do_look(struct request *request)
{
    struct server *server = get_server(request);
    if (!input_is_whole(request->input))
        return SHORT;
    if (!server)
        return NO_SERVER;
    struct output *answer = request->answer;
    const struct disk *disk = &server->disk;
    struct raft *raft = server->is_started ? &server->process->raft : NULL;
    begin_answer(request, FRAME_SERVER);
    put_u8(answer, server->is_running ? 1 + server->is_paused : 0);
    put_u32(answer, server->incarnation);
    put_u8(answer, raft ? (unsigned)raft_state(raft) : 0);
    put_u8(answer, node_of(server->simulation, server_leader(server)));
    put_u64(answer, disk->term);
    put_u8(answer, node_of(server->simulation, disk->vote));
    put_u64(answer, disk->first);
    put_u64(answer, raft ? raft_last_index(raft) : disk_last(disk));
    put_u64(answer, raft ? raft->last_stored : disk_last(disk));
    put_u64(answer, raft ? raft->commit_index : 0);
    put_u64(answer, raft ? raft->last_applied : 0);
    put_u64(answer, disk->snapshot ? disk->snapshot->index : 0);
    put_u64(answer, server->installed);
    put_members(server->simulation, answer, raft ? &raft->configuration : NULL);
    put_u64(answer, raft && service.digest ? service.digest(server) : 0);
    frame_end(answer);
    return NULL;
}

/* --- The network --- */

/* A link that the next two bytes name; NULL: there is none. */
static struct link *get_link(struct request *request)
{
    const struct server *source = get_server(request), *destination = get_server(request);
    if (!source || !destination || source == destination)
        return NULL;
    return network_link(request->simulation, source->number, destination->number);
}

static const char NO_LINK[] = "there is no link between these two servers";

static const char *do_cut(struct request *request)
{
    bool is_cut[SERVERS_MAX * SERVERS_MAX] = {false};
    struct link *links = &request->simulation->network.links[0][0];
    for (unsigned left = get_u16(request->input); left; left--) {
        const struct link *link = get_link(request);
        if (request->input->is_short)
            return SHORT;
        if (!link)
            return NO_LINK;
        is_cut[link - links] = true;
    }
    if (!input_is_whole(request->input))
        return SHORT;
    for (size_t i = 0; i < SERVERS_MAX * SERVERS_MAX; i++) {
        if (is_cut[i] && !links[i].is_cut && !links[i].is_impaired)
            links[i].traffic = (struct traffic){0};
        links[i].is_cut = is_cut[i];
    }
    return NULL;
}

static bool is_share(double value)
{
    return value >= 0 && value <= 1;
}

static bool is_amount(double value)
{
    return value >= 0 && value <= 1e9;
}

static bool get_impairment(struct input *input, struct impairment *to)
{
    to->loss = get_f64(input);
    to->burst_packets = get_f64(input);
    to->delay_ms = get_f64(input);
    to->jitter_ms = get_f64(input);
    to->duplicate = get_f64(input);
    to->reorder = get_f64(input);
    to->reorder_ms = get_f64(input);
    to->corrupt = get_f64(input);
    to->rate_kb_s = get_f64(input);
    to->queue_ms = get_f64(input);
    return is_share(to->loss) && is_share(to->duplicate) && is_share(to->reorder) &&
           is_share(to->corrupt) && is_amount(to->burst_packets) && is_amount(to->delay_ms) &&
           is_amount(to->jitter_ms) && is_amount(to->reorder_ms) && is_amount(to->rate_kb_s) &&
           is_amount(to->queue_ms);
}

static const char *do_impair(struct request *request)
{
    static struct link wanted[SERVERS_MAX * SERVERS_MAX];
    struct link *links = &request->simulation->network.links[0][0];
    memset(wanted, 0, sizeof wanted);
    for (unsigned left = get_u16(request->input); left; left--) {
        const struct link *link = get_link(request);
        struct impairment impairment;
        bool is_right = get_impairment(request->input, &impairment);
        if (request->input->is_short)
            return SHORT;
        if (!link)
            return NO_LINK;
        if (!is_right)
            return "an impairment's shares are from 0 to 1, and its amounts are not negative";
        wanted[link - links].is_impaired = true;
        wanted[link - links].impairment = impairment;
    }
    if (!input_is_whole(request->input))
        return SHORT;
    for (size_t i = 0; i < SERVERS_MAX * SERVERS_MAX; i++) {
        links[i].is_impaired = wanted[i].is_impaired;
        links[i].impairment = wanted[i].impairment;
        links[i].is_bursting = false;
        links[i].free_ns = 0;
        if (wanted[i].is_impaired)
            links[i].traffic = (struct traffic){0};
    }
    return NULL;
}

static const char *do_count(struct request *request)
{
    if (!input_is_whole(request->input))
        return SHORT;
    const struct link *links = &request->simulation->network.links[0][0];
    unsigned count = 0;
    for (size_t i = 0; i < SERVERS_MAX * SERVERS_MAX; i++)
        count += links[i].is_impaired || links[i].is_cut;
    begin_answer(request, FRAME_TRAFFIC);
    put_u16(request->answer, count);
    for (size_t i = 0; i < SERVERS_MAX * SERVERS_MAX; i++) {
        const struct traffic *traffic = &links[i].traffic;
        if (!links[i].is_impaired && !links[i].is_cut)
            continue;
        put_u8(request->answer, (unsigned)(i / SERVERS_MAX));
        put_u8(request->answer, (unsigned)(i % SERVERS_MAX));
        put_u64(request->answer, traffic->sent);
        put_u64(request->answer, traffic->lost);
        put_u64(request->answer, traffic->duplicated);
        put_u64(request->answer, traffic->reordered);
        put_u64(request->answer, traffic->corrupted);
        put_u64(request->answer, traffic->delayed);
        put_u64(request->answer, traffic->cut);
    }
    frame_end(request->answer);
    return NULL;
}

static const char *do_probe(struct request *request)
{
    const struct server *source = get_server(request), *destination = get_server(request);
    if (!input_is_whole(request->input))
        return SHORT;
    if (!source || !destination || source == destination)
        return NO_LINK;
    network_probe(request->simulation, source->number, destination->number);
    return NULL;
}

/* --- Disks, clocks, memory --- */

static const char *do_disk_rule(struct request *request)
{
    struct disk_rule rule = {0};
    struct server *server = get_server(request);
    get_text(request->input, rule.name, sizeof rule.name);
    bool is_on = get_u8(request->input);
    unsigned kind = get_u8(request->input), call = get_u8(request->input);
    rule.probability = get_f64(request->input);
    double ms = get_f64(request->input);
    uint64_t seed = get_u64(request->input);
    if (!input_is_whole(request->input))
        return SHORT;
    if (!server)
        return NO_SERVER;
    if (kind >= DISK_RULE_KINDS || call >= DISK_CALLS || !is_share(rule.probability) || !is_amount(ms))
        return "there is no such rule";
    rule.kind = (enum disk_rule_kind)kind;
    rule.call = (enum disk_call)call;
    rule.wait_ns = (uint64_t)(ms * 1e6);
    rule.random = random_stream(seed, RANDOM_DISK, server->number);
    return disk_set_rule(&server->disk, rule.name, is_on ? &rule : NULL)
               ? NULL
               : "there are as many rules on this disk as can be";
}

static const char *do_disk_hits(struct request *request)
{
    const struct server *server = get_server(request);
    if (!input_is_whole(request->input))
        return SHORT;
    if (!server)
        return NO_SERVER;
    const struct disk *disk = &server->disk;
    begin_answer(request, FRAME_HITS);
    put_u16(request->answer, (unsigned)disk->rule_count);
    for (size_t i = 0; i < disk->rule_count; i++) {
        put_text(request->answer, disk->rules[i].name);
        put_u64(request->answer, disk->rules[i].hits);
    }
    frame_end(request->answer);
    return NULL;
}

static const char *do_clock(struct request *request)
{
    struct server *server = get_server(request);
    double offset_s = get_f64(request->input), rate = get_f64(request->input);
    if (!input_is_whole(request->input))
        return SHORT;
    if (!server)
        return NO_SERVER;
    if (!(fabs(offset_s) <= 500000) || !(rate >= 0.01 && rate <= 100))
        return "a clock's offset is at most 500000 s, and its rate from 0.01 to 100";
    server_turn_clock(server, offset_s, rate);
    return NULL;
}

static const char *do_clock_look(struct request *request)
{
    const struct server *server = get_server(request);
    if (!input_is_whole(request->input))
        return SHORT;
    if (!server)
        return NO_SERVER;
    begin_answer(request, FRAME_OFFSET);
    put_f64(request->answer, server_clock_offset_s(server));
    frame_end(request->answer);
    return NULL;
}

static const char *do_allocation(struct request *request)
{
    struct server *server = get_server(request);
    uint64_t number = get_u64(request->input);
    if (!input_is_whole(request->input))
        return SHORT;
    if (!server)
        return NO_SERVER;
    server->arena.fail_in = number;
    return NULL;
}

static const char *do_allocations(struct request *request)
{
    const struct server *server = get_server(request);
    if (!input_is_whole(request->input))
        return SHORT;
    if (!server)
        return NO_SERVER;
    begin_answer(request, FRAME_FAILED);
    put_u64(request->answer, server->arena.failures);
    frame_end(request->answer);
    return NULL;
}

static const char *do_wipe(struct request *request)
{
    struct server *server = get_server(request);
    if (!input_is_whole(request->input))
        return SHORT;
    if (!server)
        return NO_SERVER;
    if (server->is_running)
        return "the server runs";
    server_wipe(server);
    return NULL;
}

static const char *do_change(struct request *request)
{
    uint32_t change = get_u32(request->input);
    struct server *server = get_server(request);
    unsigned what = get_u8(request->input), member = get_u8(request->input);
    unsigned role = get_u8(request->input);
    if (!input_is_whole(request->input))
        return SHORT;
    if (!server || member >= request->simulation->count)
        return NO_SERVER;
    if (what > 3 || role > 2)
        return "there is no such change";
    server_change(server, change, what, member, role);
    return NULL;
}

/* --- All of them --- */

static command_call *const COMMANDS[] = {
    [FRAME_BEGIN] = do_begin,
    [FRAME_ADVANCE] = do_advance,
    [FRAME_RESEED] = do_reseed,
    [FRAME_END] = do_end,
    [FRAME_OPEN] = do_open,
    [FRAME_SEND] = do_send,
    [FRAME_CLOSE] = do_close,
    [FRAME_START] = do_start,
    [FRAME_STOP] = do_stop,
    [FRAME_KILL] = do_kill,
    [FRAME_PAUSE] = do_pause,
    [FRAME_RESUME] = do_resume,
    [FRAME_LOOK] = do_look,
    [FRAME_CUT] = do_cut,
    [FRAME_IMPAIR] = do_impair,
    [FRAME_COUNT] = do_count,
    [FRAME_PROBE] = do_probe,
    [FRAME_DISK_RULE] = do_disk_rule,
    [FRAME_DISK_HITS] = do_disk_hits,
    [FRAME_CLOCK] = do_clock,
    [FRAME_CLOCK_LOOK] = do_clock_look,
    [FRAME_ALLOCATION] = do_allocation,
    [FRAME_ALLOCATIONS] = do_allocations,
    [FRAME_WIPE] = do_wipe,
    [FRAME_CHANGE] = do_change,
};

bool command(struct simulation *s, unsigned kind, struct input *input, struct output *answer)
{
    struct request request = {.simulation = s, .input = input, .answer = answer};
    const char *why = "there is no such kind of frame";
    if (kind < sizeof COMMANDS / sizeof *COMMANDS && COMMANDS[kind])
        why = s->count || kind == FRAME_BEGIN ? COMMANDS[kind](&request) : "it has not begun";
    if (!request.has_answered) {
        frame_begin(answer, why ? FRAME_REFUSED : FRAME_OK);
        if (why)
            put_text(answer, why);
        frame_end(answer);
    }
    return kind != FRAME_END || why;
}
