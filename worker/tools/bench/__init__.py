"""The benches: each prints a table, writes JSON and draws a curve, and names the machine that it ran on."""
