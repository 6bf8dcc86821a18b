"""The command line: its flags, its commands, and what they print and write.

Importing TensorFlow takes seconds, and an error in the flags or the data should not wait for it. So commands import
what needs TensorFlow inside their functions, after the data are read.
"""
