"""`python -m worker` is `rerank-worker`."""

from worker.cli import main

if __name__ == "__main__":
    main()
