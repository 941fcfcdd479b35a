"""The machinery that everything else stands on, written out: sections 10 to 12 of the course.

Linear learners, backpropagation, optimizers, convolution and recurrence. ``phosphene learn TOPIC``
shows one at work, and ``phosphene prove NAME`` checks its formula.
"""
