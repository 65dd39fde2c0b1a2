# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Each way in which the official SDK loses or distorts data, and the test that shows ours does not.

Protocol sections 14 (semantics of the SDK) and 20 (traps, device side). Left the loss, right where
it is shown; `test_every_row_names_a_test_that_exists` keeps the table true.

==== ========================================================= ====================================
§    the SDK                                                   test
==== ========================================================= ====================================
5.4  a redirect of /ingest counts as success                   client/test_losses.py::test_a_redirect_is_no_success
5.4  older gateways skip without a word                        client/test_losses.py::test_an_older_gateway_that_skips_points_without_a_word_is_found_out
5.5  Retry-After is ignored                                    client/test_link.py::test_an_answer_that_is_no_success_keeps_the_data
6.5  without acks a write to a dead socket is a loss           client/test_link.py::test_a_gateway_without_acknowledgements_gets_telemetry_by_http_only
6.5  an error releases all frames before it unseen             protocol/test_device.py::test_an_error_with_a_number_discards_and_one_without_does_not
6.5  answers that never come                                   protocol/test_device.py::test_silence_after_sending_ends_the_connection
6.6  INVALID_MESSAGE loses the frame with its good points      client/test_link.py::test_over_the_socket_one_bad_point_costs_one_point
6.8  a message over the gateway's limit comes back for ever    client/test_link.py::test_a_gateway_that_finds_a_message_too_long_gets_its_halves
6.8  it writes on after a goodbye                              client/test_link.py::test_whatever_a_gateway_does_nothing_is_lost
14.3 batch() drops the oldest over max_pending                 client/test_losses.py::test_a_batch_that_is_full_hands_on_instead_of_dropping
14.3 background flushes swallow RateLimitedError               client/test_losses.py::test_drops_by_http_are_counted_and_raised_once_even_from_a_batch
14.4 the first reading has the wrong time                      client/test_losses.py::test_the_first_reading_already_has_the_gateways_time
14.4 drift in a long connection is not corrected               protocol/test_device.py::test_an_answer_to_a_heartbeat_tells_the_gateways_time_once
14.4 old stamps are scaled twice                               client/test_losses.py::test_old_stamps_are_scaled_once
14.5 rows are deleted before they are sent                     client/test_losses.py::test_a_killed_process_loses_nothing_that_was_flushed
14.5 an idle client keeps its backlog                          client/test_losses.py::test_a_backlog_goes_out_by_itself_once_the_gateway_is_there
14.5 a failed chunk goes behind newer rows                     client/test_losses.py::test_a_long_backlog_arrives_in_order
14.5 a poison point blocks its chunk                           client/test_link.py::test_over_http_one_bad_point_costs_one_point
14.5 eviction is told on stderr only                           delivery/test_outbox.py::test_a_loss_is_told_once_for_each_episode_with_its_span
14.5 a full disk                                               client/test_faults.py::test_a_disk_that_is_full_loses_only_what_it_counts
14.6 exit without a flush                                      client/test_losses.py::test_what_is_left_at_exit_goes_out_with_the_next_start
14.7 INVALID_MESSAGE and silent drops are not reported         client/test_losses.py::test_one_refused_point_costs_one_point_on_the_socket_and_is_told
20.2 30 s of silence                                           client/test_faults.py::test_whatever_happens_to_the_link_every_point_arrives_once
20.4 a refused chunk is retried whole                          client/test_losses.py::test_one_refused_point_costs_one_point_by_http
20.5 limits count messages                                     client/test_losses.py::test_thousands_of_single_sends_are_few_messages
20.6 one buffer for each source                                delivery/test_journal.py::test_two_processes_never_share_a_journal
20.7 dropped on a 200                                          client/test_link.py::test_points_that_a_gateway_drops_are_counted
==== ========================================================= ====================================
"""  # noqa: E501 - a row of the table is a line

from __future__ import annotations

import ast
from pathlib import Path
import re

import pytest

TESTS = Path(__file__).parents[1]
ROWS = re.findall(r'^([\d.]+) +(.+?) +(\S+\.py)::(\S+)$', __doc__ or '', re.MULTILINE)


@pytest.mark.parametrize(('section', 'loss', 'file', 'name'), ROWS)
def test_every_row_names_a_test_that_exists(section, loss, file, name):
    names = {node.name for node in ast.walk(ast.parse((TESTS / file).read_text()))
             if isinstance(node, ast.FunctionDef)}
    assert name in names, f'{section} {loss}: {file} has no {name}'


def test_the_table_is_read_whole():
    assert len(ROWS) == (__doc__ or '').count('::test_')
