import tempfile as tf
NAME = tf.mktemp(dir="/var/spool")  # expect: insecure-temporary-file
