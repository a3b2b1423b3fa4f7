"""JSON values as something to read."""

from __future__ import annotations

from dissever.reports.tidy import ROWS_MAX, Pairs, Table, tidy, words


def test_scalars_are_words() -> None:
    assert tidy(None) == "none"
    assert tidy(True) == "yes"
    assert tidy(184220) == "184,220"
    assert tidy([]) == "none"
    assert tidy(["n1", "n2"]) == "n1, n2"


def test_unit_of_a_key_goes_to_its_number() -> None:
    assert words("time_to_heal_ns") == "time to heal"
    assert tidy(1_200_000, name="time_to_heal_ns") == "1.20 ms"
    assert tidy(412, name="elapsed_ms") == "412 ms"
    assert tidy(2048, name="memory_bytes") == "2,048 bytes"
    assert (words("rate_kb_s"), words("kb_s")) == ("rate", "rate")
    assert tidy(2312.2, name="kb_s") == "2,312 kB/s"


def test_number_that_is_a_name_keeps_its_digits() -> None:
    assert tidy({"pid": 41210}) == Pairs((("pid", "41210"),))
    assert tidy({"pid_before": 41210}) == Pairs((("pid before", "41210"),))


def test_mappings_of_equal_shape_are_a_table() -> None:
    assert tidy({"read": {"ok": 2, "fail": 0}, "cas": {"ok": 1}}) == Table(
        ("", "ok", "fail"), (("read", "2", "0"), ("cas", "1", ""))
    )
    assert tidy([{"a": 1}, {"a": 2}]) == Table(("a",), (("1",), ("2",)))


def test_links_are_a_matrix() -> None:
    assert tidy({"n1->n2": 12, "n1->n3": 7, "n2->n1": 3}) == Table(
        ("from, to", "n1", "n2", "n3"), (("n1", "", "12", "7"), ("n2", "3", "", ""))
    )


def test_pairs_of_nodes_are_joined_by_where_they_start() -> None:
    assert tidy([["n1", "n3"], ["n1", "n4"], ["n2", "n3"]]) == "n1 → n3 n4, n2 → n3"
    assert tidy(["n1->n3", "n1->n4"]) == "n1 → n3 n4"


def test_long_and_deep_values_are_cut_and_say_so() -> None:
    table = tidy([{"a": number} for number in range(ROWS_MAX + 5)])
    deep = tidy({"a": {"b": {"c": {"d": {"e": {"f": [{"g": []}]}}}}}})

    assert isinstance(table, Table)
    assert (len(table.rows), table.more) == (ROWS_MAX, 5)
    assert isinstance(deep, Pairs)


def test_single_row_inside_another_value_is_a_line() -> None:
    nodes = {"nodes": {"n3": {"state": "gone", "exit_status": None, "pid": 4121, "took_ms": 3}}}

    assert tidy(nodes) == Pairs(
        (("nodes", Pairs((("n3", "state gone, pid 4121, took 3.00 ms"),))),)
    )
