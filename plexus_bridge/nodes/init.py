# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""`plexus-bridge init`: writes a map for what is on the graph or in a recording."""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

from plexus_bridge.authoring.proposal import propose
from plexus_bridge.authoring.source import BagSource
from plexus_bridge.authoring.source import nothing_in
from plexus_bridge.authoring.source import Source
from plexus_bridge.bags import Bag
from plexus_bridge.config.gateway_url import LOCAL_GATEWAY_URL
from plexus_bridge.errors import BagError
from plexus_bridge.errors import PointError
from plexus_bridge.exit_codes import EXIT_FAILURE
from plexus_bridge.points import check_source_id


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('--bag', metavar='BAG', help='a recording instead of the running graph')
    parser.add_argument('--seconds', type=float, default=5.0, metavar='S',
                        help='how long to listen to the graph (default: 5)')
    parser.add_argument('--source-id', default='robot-01', help="the robot's name in Plexus")
    parser.add_argument('--gateway-url', default=LOCAL_GATEWAY_URL, metavar='URL')
    parser.add_argument('-o', '--output', metavar='FILE', type=Path,
                        help='where to write the map (default: print it)')


def run(args: argparse.Namespace) -> int:
    """Write the map; an existing file is never overwritten."""
    try:
        check_source_id(args.source_id, refuse_uuid=True)
        text = _proposal(args)
        if args.output is None:
            print(text, end='')
            return 0
        with args.output.open('x', encoding='utf-8') as file:
            file.write(text)
    except FileExistsError:
        return _fail(f'{args.output}: is there already; choose another name, or remove it')
    except OSError as error:
        return _fail(f'{args.output}: cannot be written: {error.strerror}')
    except (BagError, PointError) as error:
        return _fail(str(error))
    print(f'{args.output}: written; now: plexus-bridge check {args.output}')
    return 0


def _proposal(args: argparse.Namespace) -> str:
    if args.bag:
        with Bag(args.bag) as bag:
            return _text(args, BagSource(bag))
    from plexus_bridge.ros.survey import survey
    with survey(args.seconds) as graph:
        return _text(args, graph)


def _text(args: argparse.Namespace, source: Source) -> str:
    if not source.topics:
        raise BagError(nothing_in(source))
    return '\n'.join(propose(source, args.source_id, args.gateway_url)) + '\n'


def _fail(text: str) -> int:
    print(f'plexus-bridge init: {text}', file=sys.stderr)
    return EXIT_FAILURE
