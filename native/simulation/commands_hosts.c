/* See request.h: frames about what is around the servers' processes: links, disks, clocks, memory. */
#include "request.h"

#include <math.h>
#include <string.h>

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

const char *do_cut(struct request *request)
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

const char *do_impair(struct request *request)
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

const char *do_count(struct request *request)
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

typedef void probe_call(struct simulation *, unsigned source, unsigned destination);

static const char *probe_by(struct request *request, probe_call *probe)
{
    const struct server *source = get_server(request), *destination = get_server(request);
    if (!input_is_whole(request->input))
        return SHORT;
    if (!source || !destination || source == destination)
        return NO_LINK;
    probe(request->simulation, source->number, destination->number);
    return NULL;
}

const char *do_probe(struct request *request)
{
    return probe_by(request, network_probe);
}

const char *do_reach(struct request *request)
{
    return probe_by(request, network_reach);
}

/* --- Disks, clocks, memory --- */

const char *do_disk_rule(struct request *request)
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

const char *do_disk_hits(struct request *request)
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

const char *do_clock(struct request *request)
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

const char *do_clock_look(struct request *request)
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

const char *do_allocation(struct request *request)
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

const char *do_allocations(struct request *request)
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

const char *do_wipe(struct request *request)
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

const char *do_change(struct request *request)
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
