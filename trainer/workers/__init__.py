"""Several processes that train one model together under tf.distribute."""
