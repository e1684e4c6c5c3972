from benchmarks.peers.comparison import measure

__all__ = ["measure"]
