"""The serial mapper keeps the promises that every other mapper must keep."""

import pytest

from metroflux.parallel import serial


def test_results_come_in_the_order_of_the_items():
    assert list(serial(lambda base, item: base * item, 2, [3, 1, 2])) == [6, 2, 4]


def test_no_items_give_no_results():
    assert list(serial(lambda common, item: item, None, [])) == []


def test_every_call_gets_the_same_common_object():
    common = object()
    assert all(seen is common for seen in serial(lambda shared, _: shared, common, range(3)))


def test_items_run_one_after_the_other_as_results_are_taken():
    ran = []
    results = serial(lambda _, item: ran.append(item), None, [1, 2, 3])
    next(results)
    assert ran == [1]


def test_an_error_in_one_item_reaches_the_caller():
    results = serial(lambda _, item: 1 / item, None, [1, 0])
    assert next(results) == 1.0
    with pytest.raises(ZeroDivisionError):
        next(results)
