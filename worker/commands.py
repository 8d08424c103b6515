"""The commands: options of a group come by worker.config.typer_flags, a command's own from its signature."""

from __future__ import annotations

import os
from pathlib import Path  # noqa: TC003 - typer evaluates the annotations
from typing import Annotated, Literal

import typer

from worker import __version__
from worker.config.settings import Settings, group_types
from worker.config.toml import to_toml
from worker.config.typer_flags import takes
from worker.tools.bench.commands import bench
from worker.tools.dead_letters.options import ListOptions, ReplayOptions

ALL = tuple(group_types())

app = typer.Typer(
    name="rerank-worker",
    help="Reranks candidate lists from Kafka with a cross-encoder, under each event's latency budget.",
    epilog="Every option can also be set in the environment, as RERANK_NAME, or in a TOML file that --config names; "
    "a flag goes before the environment, the environment before the file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(bench)


def _print_version(value: bool) -> None:  # noqa: FBT001 - the library calls it so
    if value:
        typer.echo(f"rerank-worker {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


@app.command()
@takes(*ALL)
def run(
    settings: Settings,
    *,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the effective options as TOML, without secrets, and exit.")
    ] = False,
) -> None:
    """Run the worker: read requests, rerank them, publish the results, until SIGTERM or Ctrl-C."""
    if print_config:
        typer.echo(to_toml(settings), nl=False)
        return
    from worker.app.app import run as run_worker

    run_worker(settings)


@app.command()
@takes("kafka", "events")
def publish(
    settings: Settings,
    *,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Events, one JSON document a line; - is standard input.")],
    rate: Annotated[
        float | None, typer.Option(min=0.001, metavar="X", help="Events a second; as fast as it goes if not given.")
    ] = None,
) -> None:
    """Publish the events of a file to the request topic, once every line is known to be valid."""
    from worker.tools.publish import publish as publish_file

    publish_file(settings, file, rate=rate)


@app.command()
@takes("kafka")
def watch(
    settings: Settings,
    *,
    style: Annotated[
        Literal["table", "json"] | None,
        typer.Option("--format", help="How results are shown; a table on a terminal, else JSON lines, if not given."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Candidates shown of a list in a table.")] = 5,
    count: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Stop after so many results and dead letters.")
    ] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Show what the topics hold already, too.")
    ] = False,
) -> None:
    """Print results as they come, and dead letters on standard error, until Ctrl-C."""
    from worker.tools.watch import watch as watch_results

    watch_results(settings, style=style, top=top, count=count, from_beginning=from_beginning)


@app.command()
def top(
    *,
    urls: Annotated[
        list[str], typer.Argument(metavar="URL...", help="Addresses of workers, such as http://127.0.0.1:9464.")
    ],
    once: Annotated[
        bool, typer.Option("--once", help="Print what they do in one interval as plain text, and end.")
    ] = False,
    interval: Annotated[float, typer.Option(metavar="X", help="Seconds from one look to the next.")] = 5.0,
) -> None:
    """Show what workers do, as their /metrics say: rates, latencies, lag and outcomes, until Ctrl-C."""
    from worker.tools.top.top import top as show_top

    show_top(urls, once=once, interval_s=interval)


@app.command("dead-letters")
@takes("kafka", own=ListOptions)
def dead_letters(settings: Settings, own: ListOptions) -> None:
    """List the dead letters that the topic holds now, count them, or show one as a whole."""
    from worker.tools.dead_letters.listing import list_letters

    list_letters(settings, own)


@app.command()
@takes("kafka", own=ReplayOptions)
def replay(settings: Settings, own: ReplayOptions) -> None:
    """Send dead letters back to the topic they came from, from where the last replay came to."""
    from worker.tools.dead_letters.replay import replay as replay_letters

    replay_letters(settings, own)


@app.command()
def demo(  # noqa: PLR0913 - one for each flag
    *,
    bootstrap_servers: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Brokers to use, host:port; a broker of its own, in memory, if not given.",
            envvar="RERANK_BOOTSTRAP_SERVERS",
        ),
    ] = None,
    kafka_home: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Start Apache Kafka from this unpacked release instead of that one."),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="TEXT", help="Another model than the shipped one.")] = None,
    http_port: Annotated[
        int | None, typer.Option(metavar="N", help="Port of /metrics; 9464, or a free one if that is taken.")
    ] = None,
    show: Annotated[int, typer.Option(min=0, metavar="N", help="Queries whose lists are shown.")] = 3,
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Candidates shown of each list.")] = 8,
    keep_running: Annotated[
        bool, typer.Option("--keep-running", help="Leave broker and worker serving until Ctrl-C.")
    ] = False,
) -> None:
    """Show the whole line: start a broker and a worker, publish the shipped queries, print what came back.

    Other options of the worker can be set in the environment, as RERANK_NAME.
    """
    from worker.tools.demo.demo import demo as run_demo
    from worker.tools.demo.options import DemoOptions

    options = DemoOptions(
        bootstrap_servers=bootstrap_servers,
        kafka_home=kafka_home,
        model=model,
        http_port=http_port,
        show=show,
        top=top,
        keep_running=keep_running,
    )
    raise typer.Exit(run_demo(options, os.environ))
