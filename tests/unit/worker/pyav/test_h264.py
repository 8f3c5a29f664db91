"""Units and parameter sets, taken apart and put together again."""

import pytest

from worker.pyav.bitstream import h264

SPS = bytes.fromhex("67640015acd94141fb011000000300100000030320f162d960")
PPS = bytes.fromhex("68ebe3cb22c0")
OTHER_SPS = bytes.fromhex("6742c015010fb8")  # identifier 31
CONFIGURATION = b"\1\x64\0\x15\xff\xe1" + len(SPS).to_bytes(2) + SPS
CONFIGURATION += b"\1" + len(PPS).to_bytes(2) + PPS + bytes.fromhex("fdf8f800")


def test_units_after_start_codes_and_with_lengths_are_the_same():
    with_codes = b"\0\0\0\1" + SPS + b"\0\0\1" + PPS
    with_lengths = len(SPS).to_bytes(4) + SPS + len(PPS).to_bytes(4) + PPS
    assert list(h264.units(with_codes, None)) == [SPS, PPS] == list(h264.units(with_lengths, 4))


@pytest.mark.parametrize("data", [b"\0\0\0\0", b"\0\0\0\x09ab", b"\0\0\0"])
def test_lengths_that_do_not_fit_are_refused(data):
    with pytest.raises(ValueError, match="fit"):
        list(h264.units(data, 4))


def test_a_sample_holds_no_parameter_sets_and_no_delimiters():
    data = b"\0\0\0\1\x09\xf0\0\0\0\1" + SPS + b"\0\0\1" + PPS + b"\0\0\1\x65\x88\x84"
    assert h264.sample(data, None) == b"\0\0\0\3\x65\x88\x84"


def test_a_configuration_is_read_and_written_back_equal():
    sets = h264.parameter_sets(CONFIGURATION)
    assert (sets.sps, sets.pps, sets.length_size) == ((SPS,), (PPS,), 4)
    assert sets.configuration() == CONFIGURATION


def test_start_codes_give_the_same_configuration():
    sets = h264.parameter_sets(b"\0\0\0\1" + SPS + b"\0\0\0\1" + PPS)
    assert sets.length_size is None
    assert sets.configuration() == CONFIGURATION


def test_a_free_identifier_is_one_that_neither_kind_of_set_uses():
    sets = h264.parameter_sets(CONFIGURATION)
    assert sets.ids() == {0}
    assert sets.free_id() == 31


def test_joined_sets_keep_both_streams_and_the_higher_level():
    other = h264.ParameterSets((OTHER_SPS,), (PPS,), None)
    joined = h264.parameter_sets(CONFIGURATION).joined_with(other)
    assert joined.sps == (SPS, OTHER_SPS)
    assert joined.configuration()[3] == 0x15


def test_extradata_without_sets_is_refused():
    with pytest.raises((ValueError, IndexError)):
        h264.parameter_sets(b"")
