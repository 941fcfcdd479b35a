from tests.laws.counted import install

install()
