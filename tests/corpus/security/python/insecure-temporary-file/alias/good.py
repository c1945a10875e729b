import tempfile as tf
NAME = tf.mkdtemp(dir="/var/spool")
