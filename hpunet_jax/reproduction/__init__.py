"""The paper's tables: their rows, the runs behind them, and the paper's numbers beside ours."""
