/* See random.h. Source of splitmix64: Steele, Lea and Flood, OOPSLA 2014. */
#include "random.h"

static uint64_t mixed(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

uint64_t random_next(struct random *random)
{
    return mixed(random->state += 0x9E3779B97F4A7C15u);
}

struct random random_stream(uint64_t seed, enum random_purpose purpose, uint64_t place)
{
    uint64_t state = mixed(seed + 0x9E3779B97F4A7C15u);
    state = mixed(state ^ ((uint64_t)purpose * 0xD1342543DE82EF95u));
    return (struct random){mixed(state ^ (place * 0xA0761D6478BD642Fu))};
}

uint64_t random_between(struct random *random, uint64_t low, uint64_t high)
{
    if (high <= low)
        return low;
    return low + random_next(random) % (high - low + 1);
}

bool random_chance(struct random *random, double probability)
{
    return (double)(random_next(random) >> 11) * 0x1p-53 < probability;
}
