/* See commands.h. Each function reads its fields and answers; NULL is done, text is why not. */
#include "commands.h"

#include "request.h"
#include "service.h"

#include <stdio.h>

enum { NAME_BYTES_MAX = 64, VALUE_BYTES_MAX = 64, OPTIONS_MAX = 256 };

const char SHORT[] = "the frame does not have the fields that its kind has";
const char NO_SERVER[] = "there is no server of that number";
static const char NOT_RUNNING[] = "the server does not run";

struct server *get_server(struct request *request)
{
    unsigned number = get_u8(request->input);
    return number < request->simulation->count ? &request->simulation->servers[number] : NULL;
}

void begin_answer(struct request *request, enum frame_kind kind)
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
    [FRAME_REACH] = do_reach,
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
