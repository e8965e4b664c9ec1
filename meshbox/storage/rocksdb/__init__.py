"""RocksDB under the key-value seam: the only code that knows rocksdict and its defects."""

from meshbox.storage.rocksdb.database import RocksKeyValue, open_rocksdb
from meshbox.storage.rocksdb.repairing import repair_rocksdb

__all__ = ["RocksKeyValue", "open_rocksdb", "repair_rocksdb"]
