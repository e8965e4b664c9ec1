"""Settings and composition: the only place that names concrete parts.

Knows every part, and in which order they begin and end. Must not know what any of them decides.
Others use `cassandra_access`, `checkup.check`, `checkup.checkup`, `data_folder`, `limit_table`,
`opening`, `release`, `running`, `setting_table`, `settings`.
"""
